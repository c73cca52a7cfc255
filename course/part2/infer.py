"""Part 2's command: python course/part2/infer.py --model_file F --beam_size 10 --model_type T --test_data_file J."""

import sys

from myna.mathqa.infer import main

if __name__ == "__main__":
    sys.exit(main())

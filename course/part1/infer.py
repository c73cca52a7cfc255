"""Part 1's command: infer.py --model_file F --normalization N --n 2 --test_data_file T --output_file O."""

import sys

from myna.birds.infer import main

if __name__ == "__main__":
    sys.exit(main())

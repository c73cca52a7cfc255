"""The program language of MathQA: operations, parser, executor and checker. Standard library only."""

import sys

from posekit.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["train-classifier", *sys.argv[1:]]))

import sys

from posekit.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["train-detector", *sys.argv[1:]]))

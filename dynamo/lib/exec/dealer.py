"""Copy data to where they are wanted: `dynamo -W -t dealer "…/exec/dealer.py -c CONFIG"`."""

from dynamo.dealer.application import main

if __name__ == "__main__":
    main()

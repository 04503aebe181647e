"""Free space at sites by a policy: `dynamo -W -t detox "…/exec/detox.py -p POLICY"`."""

from dynamo.detox.application import main

if __name__ == "__main__":
    main()

"""`python -m reconciler` is `reconcile`, for machines where the script is not on the PATH."""

import sys

from reconciler.cli import main

if __name__ == "__main__":
    sys.exit(main())

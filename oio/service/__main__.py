"""`python -m oio.service`: the command `oio-directory`."""

from oio.service.cli import main

main()

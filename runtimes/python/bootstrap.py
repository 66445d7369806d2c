"""Entry point of a Python function. The work is in enfold_runtime.py, so that its bytecode can be kept."""

import enfold_runtime

enfold_runtime.main()

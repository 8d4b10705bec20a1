"""Compare evaluated runs and elect the best by its validation figure.

python launch/compare.py RUN [RUN ...] [--by macro_f1|accuracy|...] [--out best]
"""

from glr_fast.commands.compare import main

if __name__ == "__main__":
    main()

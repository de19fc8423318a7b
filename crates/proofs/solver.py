#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""cvc5 as a program: SMT-LIB on standard input, answers on standard output.

The package on PyPI holds the library and no program. This is as much of one as the prover needs: every option
--NAME=VALUE is the solver's own, (reset) begins anew, an error ends it.
"""

import sys

import cvc5

NAME = "standard-input"


class Session:
    """One solver, from one (reset) to the next."""

    def __init__(self, options):
        terms = cvc5.TermManager()
        self.solver = cvc5.Solver(terms)
        for name, value in options:
            self.solver.setOption(name, value)
        self.symbols = cvc5.SymbolManager(terms)
        self.parser = cvc5.InputParser(self.solver, self.symbols)

    def run(self, text):
        """Runs whole commands and gives what they print."""
        self.parser.setIncrementalStringInput(cvc5.InputLanguage.SMT_LIB_2_6, NAME)
        self.parser.appendIncrementalStringInput(text)
        printed = []
        while not (command := self.parser.nextCommand()).isNull():
            said = command.invoke(self.solver, self.symbols)
            printed.append(said.decode() if isinstance(said, bytes) else said)
        return "".join(printed)


def is_whole(text):
    """Whether the text ends outside of every parenthesis, string, quoted symbol and comment."""
    depth, quote = 0, None
    for character in text:
        if quote is not None:
            if character == quote:
                quote = None
        elif character in '"|':
            quote = character
        elif character == ";":
            quote = "\n"
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
    return depth == 0 and quote in (None, "\n")


def main(arguments):
    options = [tuple(option[2:].split("=", 1)) for option in arguments if "=" in option]
    session, waiting = Session(options), ""
    for line in sys.stdin:
        waiting += line
        if not is_whole(waiting):
            continue
        if waiting.strip() == "(reset)":
            session = Session(options)
        else:
            try:
                sys.stdout.write(session.run(waiting))
            except RuntimeError as error:
                said = str(error).replace('"', "'").replace("\n", " ")
                sys.stdout.write(f'(error "{said}")\n')
                return 1
            finally:
                sys.stdout.flush()
        waiting = ""
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

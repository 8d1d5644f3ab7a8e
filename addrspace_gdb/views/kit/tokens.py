"""The words of every view: (token, text) pairs, and which token each sort of text has.

The tokens are Pygments' own standard ones, so that any Pygments style colours a view. Importing this
module costs `pygments.token` and nothing more of Pygments.
"""

from __future__ import annotations

from typing import Iterable, Tuple

from pygments.token import Token, _TokenType

TokenType = _TokenType
Pair = Tuple[TokenType, str]
Tokens = Iterable[Pair]

TEXT = Token.Text
NAME = Token.Name.Class  # of an area that is mapped
QUIET = Token.Comment  # of what is not mapped, notes, headings of columns
BOX = Token.Punctuation
ADDRESS = Token.Literal.Number.Hex
SIZE = Token.Literal.Number
GROWTH = Token.Operator
MARK = Token.Generic.Strong
HEADING = Token.Generic.Heading
GOOD = Token.Generic.Inserted
PROBLEM = Token.Generic.Error

NEWLINE: Pair = (TEXT, "\n")

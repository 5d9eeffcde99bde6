"""What may be shown of an address that holds a secret, and of what a server says that knows the address.

Sources, the API's client and the notifying actions call it where they word an error. It refuses to guess: what is not
surely harmless is left out.
"""

from __future__ import annotations

import html
import re
from urllib.parse import unquote

#: User and password: to the last `@` before the path; a password with `/`, `?` or `#` in it is no port, so it is seen.
_CREDENTIALS = re.compile(r"(://)(?:[^/?#\s]*@|[^/?#\s:\[]*:(?!\d*(?:[/?#\s']|$))\S*@)")
_QUERY = re.compile(r"(://[^\s?']*)\?[^\s']*")
#: The short answers of chat services: `invalid_payload`, `channel_is_archived`, `no_service`.
_WORD = re.compile(r"[a-z_]{1,60}")
_DIVIDERS = re.compile(r"[/?#&=@:;,]+")
#: A shorter piece of an address stands in many words by chance.
_PIECE_CHARACTERS = 4


def public(text: str) -> str:
    """Return the text without what may be a credential in a URL: user and password, and the query."""
    return _QUERY.sub(r"\1", _CREDENTIALS.sub(r"\1", text))


def plain_word(said: str, address: str) -> str:
    """Return what a server said where it is one short word that has nothing of the secret `address`; else nothing.

    Servers like to repeat the path of a request, as it was, decoded, or escaped: no sentence of theirs is safe.
    """
    word = said.strip()
    if not _WORD.fullmatch(word):
        return ""
    forms = {form.lower() for form in (address, unquote(address), unquote(unquote(address)), html.unescape(address))}
    pieces = {piece for form in forms for piece in _DIVIDERS.split(form) if len(piece) >= _PIECE_CHARACTERS}
    if any(word in form for form in forms) or any(piece in word for piece in pieces):
        return ""
    return word

"""What is shown of addresses with secrets, and of what servers say that know one."""

from __future__ import annotations

import pytest

from reconciler.logic.addresses import plain_word, public

SECRET = "abcdefghijklmnopqrstuvwx"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://ada:hunter2@host:8443/x", "https://host:8443/x"),
        ("https://ada:hun@ter2@host/x", "https://host/x"),
        ("https://ada:hun/ter2@host/x", "https://host/x"),
        ("https://ada:hun?ter2@host/x", "https://host/x"),
        ("https://hunter2@host", "https://host"),
        ("https://host/x?key=hunter2 said no", "https://host/x said no"),
        ("unable to access 'https://a:hunter2@host/x.git/': no", "unable to access 'https://host/x.git/': no"),
        ("https://host:8443/people/ada@example.org", "https://host:8443/people/ada@example.org"),
        ("https://[::1]:8443/ada@example.org", "https://[::1]:8443/ada@example.org"),
        ("file:///srv/ada@example.org", "file:///srv/ada@example.org"),
        ("git@host:path.git", "git@host:path.git"),
    ],
)
def test_credentials_and_queries_of_urls_are_not_shown(text: str, shown: str) -> None:
    assert public(text) == shown


@pytest.mark.parametrize("word", ["invalid_payload", "channel_is_archived", "no_service", "invalid_token\n"])
def test_a_short_word_of_a_chat_service_is_shown(word: str) -> None:
    assert plain_word(word, f"https://hooks.example.org/services/T000/B000/{SECRET}") == word.strip()


@pytest.mark.parametrize(
    "said",
    [
        SECRET,
        SECRET[4:20],
        f"no_{SECRET}_here",
        f"Cannot POST /services/{SECRET}",
        "No such hook",
        "invalid payload",
        "a" * 61,
        "",
    ],
)
@pytest.mark.parametrize(
    "written", [SECRET, SECRET.upper(), "%61" + SECRET[1:], "%2561" + SECRET[1:], "&#97;" + SECRET[1:]]
)
def test_nothing_else_is_shown(said: str, written: str) -> None:
    assert plain_word(said, f"https://hooks.example.org/services/{written}") == ""
    assert plain_word(said, f"https://hooks.example.org/x?token={written}") == ""

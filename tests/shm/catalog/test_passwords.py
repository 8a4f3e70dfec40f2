"""What is kept of a password, and the rules for good ones."""

from __future__ import annotations

import base64

import pytest

from shm.catalog.passwords import Rules, digest


@pytest.mark.parametrize(
    ("password", "kept"),
    [
        (b"", "vhvewKp0tNyweZQ+cFKAlsyphfg="),
        (b"secret", "FOZVZ6vbUTXQz9mnCzAywXmknuc="),
        (b"foo", "86KlGpsPK+JGiSa0EyMTcowlDb8="),
    ],
)
def test_what_is_kept(password: bytes, kept: str) -> None:
    assert base64.b64encode(digest(password)).decode() == kept


@pytest.mark.parametrize(
    ("rules", "bad", "good", "what"),
    [
        (Rules(min_length=5), "abcd", "abcde", "be at least 5 characters long"),
        (Rules(min_length=2), "é", "éé", "be at least 2 characters long"),
        (Rules(enforce_uppercase=True), "ab1!", "aB1!", "contain at least one uppercase letter"),
        (Rules(enforce_lowercase=True), "AB1!", "aB1!", "contain at least one lowercase letter"),
        (Rules(enforce_digits=True), "aB!", "aB1!", "contain at least one digit"),
        (Rules(enforce_specialchars=True), "aB1 é", "a_", "contain at least one special character"),
    ],
)
def test_rules(rules: Rules, bad: str, good: str, what: str) -> None:
    assert rules.complaint(bad) == f"password should {what}"
    assert rules.complaint(good) is None


def test_anything_will_do_without_rules() -> None:
    assert Rules().complaint("") is None
    assert Rules.of({}) == Rules()


def test_rules_by_flat_names() -> None:
    given = {"password_min_length": 8, "password_enforce_digits": True, "other": 1}
    assert Rules.of(given) == Rules(min_length=8, enforce_digits=True)

"""Signatures of tags and commits, as git verifies them with the user's own settings: never with those of the repository."""

from __future__ import annotations

import re
from typing import Final

from dtree.access.git.objects import FILE_LIMIT_BYTES
from dtree.access.git.program import Program
from dtree.access.git.refs import SHORT, is_commit
from dtree.access.git.repository import Repository, Target
from dtree.errors import StoreError

__all__ = ["verify"]

_TAG_SIGNED: Final = re.compile(rb"^-----BEGIN (?:PGP SIGNATURE|PGP MESSAGE|SSH SIGNATURE|SIGNED MESSAGE)-----$", re.MULTILINE)
_COMMIT_SIGNED: Final = re.compile(rb"^gpgsig(?:-sha256)? ", re.MULTILINE)
_TAG_NAME: Final = re.compile(rb"^tag (.+)$", re.MULTILINE)
_TELLING: Final = re.compile(
    r"bad|expired|revoked|no public key|no principal|cannot|can't|could not|unable|needs to be|not trusted|no such file", re.IGNORECASE
)


def verify(repository: Repository, target: Target) -> None:
    """See that the tag that was asked for carries a good signature, or, where it carries none or is no tag, the commit.

    Raises:
        StoreError: there is no signature, or none that git finds good.

    Effects: runs git, which runs gpg or ssh-keygen.
    """
    if any(found.size_bytes > FILE_LIMIT_BYTES for found in repository.find([target.oid, target.commit])):
        raise StoreError(f"the tag or commit '{target.name}' is too large to be one", hint="ask who made it", code="git-too-large")
    texts = repository.read([target.oid, target.commit])
    reader = repository.reader()
    tag, commit = f"the tag '{target.name}'", f"the commit {target.commit[:SHORT]}"
    is_tag = target.oid != target.commit
    if is_tag and _TAG_SIGNED.search(texts[target.oid]):
        _check(reader, "verify-tag", target.oid, tag)
        _check_name(_head(texts[target.oid]), target)
    elif _COMMIT_SIGNED.search(_head(texts[target.commit])):
        _check(reader, "verify-commit", target.commit, commit)
    else:
        raise StoreError(
            f"neither {tag} nor {commit} carries a signature" if is_tag else f"{commit} carries no signature",
            hint="sign it (`git tag -s`, `git commit -S`), or leave out --verify-signature",
            code="git-unsigned",
        )


def _head(text: bytes) -> bytes:
    return text.partition(b"\n\n")[0]


def _check(reader: Program, command: str, oid: str, what: str) -> None:
    answer = reader.run(command, oid)
    if answer.code == 0:
        return
    lines = [line.strip() for line in answer.complaint.splitlines() if line.strip()]
    raise StoreError(
        f"git does not find the signature of {what} good",
        notes=[line for line in lines if _TELLING.search(line)] or lines,
        hint="who may sign is in your own gpg keys or the file that `git config --global gpg.ssh.allowedSignersFile` names",
        code="git-bad-signature",
    )


def _check_name(head: bytes, target: Target) -> None:
    """See that it was signed under this name: a server could show an old release's tag as the new one's."""
    found = _TAG_NAME.search(head)
    signed = found[1].decode(errors="replace") if found else ""
    asked = re.sub(r"^(?:refs/)?tags/", "", target.name)
    if signed != asked and not is_commit(asked):
        raise StoreError(
            f"the tag '{target.name}' was signed as '{signed}'",
            hint="somebody has put it under another name: ask who signs",
            code="git-bad-signature",
        )

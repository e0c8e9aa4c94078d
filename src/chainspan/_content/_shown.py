"""The gate of the console, which shows texts as they are and sends nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from typing_extensions import override

from .._encode import attempt, plain
from ._gate import Gate
from ._mask import MASK_FAILED
from ._thoughts import without_thoughts

__all__ = ["ShownGate"]


class ShownGate(Gate):
    """Lets texts through whole, with what the user masks taken out of them.

    Secrets are taken out of the finished line: what is printed of other libraries' spans
    has passed no gate. Binary data stays, as nothing has to carry it.
    """

    __slots__ = ()

    @override
    def text(self, text: str) -> str | None:
        return self._masked_text(text) if self.on else None

    def shown(self, tree: Any) -> Any:
        """Return plain data, with what the user masks and what stands under names of secrets hidden.

        What a model thought is left out where the policy says so.
        """
        try:
            return self._hidden(tree)
        except RecursionError:
            return self._hidden(plain(tree))  # which ends at a depth that can be gone through

    def _hidden(self, tree: Any) -> Any:
        tree = tree if self.policy.reasoning else without_thoughts(tree)
        if not self._mask.is_active:
            return plain(tree, hide=self._mask.hide) if _has_name(tree, self._mask.hide) else tree
        return self._mask.tree(plain(tree, hide=self._mask.hide), self._masked_text)

    def _masked_text(self, text: str) -> str:
        return attempt(lambda: self._mask.user_masked(text), MASK_FAILED) if self._mask.is_active else text


def _has_name(tree: Any, hide: Callable[[str], str | None]) -> bool:
    if type(tree) is dict:
        return any(hide(key) is not None or _has_name(value, hide) for key, value in tree.items())
    return type(tree) is list and any(_has_name(value, hide) for value in tree)

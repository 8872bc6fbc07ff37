"""Which items each listener hears: balanced forms, and their hand-out that makes up for listeners who leave."""

import time
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from encodec_eval.types import EvalError


def balanced_forms(items: Sequence[str], per_listener: int, ratings: int, seed: int) -> list[list[str]]:
    """As few forms of `per_listener` different items as give each item `ratings` listeners or more.

    The counts of any two items differ by one at most. The same for the same seed. Raises `EvalError` where a listener
    cannot hear that many items.
    """
    if not 1 <= per_listener <= len(items):
        raise EvalError(f"--per-listener is {per_listener}; expected 1 to {len(items)}, the number of items")
    if not 1 <= ratings <= 100000:
        raise EvalError(f"--ratings is {ratings}; expected 1 to 100000 listeners for each item")
    count = -(-len(items) * ratings // per_listener)
    generator = np.random.default_rng(seed)
    given = dict.fromkeys(items, 0)
    forms = []
    for _ in range(count):
        chance = generator.permutation(len(items))
        order = sorted(range(len(items)), key=lambda n: (given[items[n]], chance[n]))
        form = [items[n] for n in order[:per_listener]]
        for item in form:
            given[item] += 1
        forms.append(sorted(form))
    return forms


class HandOut:
    """Gives each new listener the form whose items have the fewest listeners, finished or at it.

    A listener of whom nothing came for `patience_s` has left: what they were given counts no more.
    """

    def __init__(
        self, forms: Sequence[Sequence[str]], patience_s: float, clock: Callable[[], float] = time.time
    ) -> None:
        self.forms, self.patience_s, self.clock = forms, patience_s, clock
        names = {item: n for n, item in enumerate(dict.fromkeys(item for form in forms for item in form))}
        self._holds = np.zeros((len(forms), len(names)))  # 1 where a form has an item
        for form, items in enumerate(forms):
            self._holds[form, [names[item] for item in items]] = 1
        self._given = np.zeros(len(forms))  # listeners who finished a form
        self._open: dict[str, tuple[int, float]] = {}  # session -> form, when last seen

    def next(self, session: str) -> int:
        """The form for a session: the one it has, or the one that balances best."""
        now = self.clock()
        form = self._open[session][0] if session in self._open else self._least()
        self._open[session] = (form, now)
        return form

    def seen(self, session: str, form: int, when: float | None = None) -> None:
        """Something came from a session that has this form."""
        self._open[session] = (form, self.clock() if when is None else when)

    def finished(self, session: str, form: int) -> None:
        """A session answered all of its form."""
        self._open.pop(session, None)
        self._given[form] += 1

    def left(self, session: str) -> None:
        """A session may not go on: its form is free."""
        self._open.pop(session, None)

    def at_it(self) -> Counter[int]:
        """How many listeners are at each form now."""
        now = self.clock()
        self._open = {session: each for session, each in self._open.items() if now - each[1] < self.patience_s}
        return Counter(form for form, _ in self._open.values())

    def _least(self) -> int:
        at_it = self.at_it()
        given = self._given.copy()
        for form, count in at_it.items():
            given[form] += count
        fewest = np.flatnonzero(given == given.min())
        burden = self._holds[fewest] @ (given @ self._holds)  # listeners of the form's items, added up
        return int(fewest[np.argmin(burden)])

"""What may become of a registration in the FakeCluster; a test may write its own, a script is a function of a `Life`."""

from __future__ import annotations

from dtree.model import Placement
from tests.fakes.stored import Life, Script


def well(after_s: float = 0.0) -> Script:
    """Be healthy, or complete, after so long."""
    return lambda life: life.do_well(after_s)


def fails(after_s: float = 1.0, code: int = 1) -> Script:
    """End with an exit code after so long, for good."""

    def script(life: Life) -> None:
        life.place()
        life.run()
        life.after(after_s, lambda: life.fail(code))

    return script


def falls_over(ready_s: float, after_s: float) -> Script:
    """Be healthy after `ready_s`, and fail for good `after_s` after that."""

    def script(life: Life) -> None:
        life.do_well(ready_s)
        life.after(ready_s + after_s, life.fail)

    return script


def never(life: Life) -> None:
    """Run, and never become healthy."""
    life.place()
    life.run()


def filtered(life: Life) -> None:
    """Find no eligible node."""
    life.find_no_place(
        Placement(nodes_evaluated=2, nodes_filtered=2, nodes_in_pool=2, constraint_filtered={"${attr.kernel.name} = windows": 2})
    )


def filtered_until(after_s: float) -> Script:
    """Find no eligible node, until somebody adds one."""

    def script(life: Life) -> None:
        filtered(life)
        life.after(after_s, life.do_well)

    return script


def exhausted_until(after_s: float) -> Script:
    """Find all nodes full, until somebody makes room."""

    def script(life: Life) -> None:
        life.find_no_place(Placement(nodes_evaluated=1, nodes_exhausted=1, nodes_in_pool=1, dimension_exhausted={"memory": 1}))
        life.after(after_s, life.do_well)

    return script


def canary(life: Life) -> None:
    """Bring a healthy canary up and wait for somebody."""
    life.want_promotion()

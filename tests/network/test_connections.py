"""Which origin connections are warm."""

from __future__ import annotations

from emulator.network.connections import KeptConnections


def test_the_first_exchange_pays_and_the_next_one_does_not() -> None:
    """Within the keep-alive time-out."""
    kept = KeptConnections()

    assert not kept.take("a", 5, 0)
    kept.give_back("a", 100)
    assert kept.take("a", 5, 5_100)


def test_an_idle_connection_is_closed_after_the_keep_alive_time_out() -> None:
    """5 s by default, so low-rate traffic pays often."""
    kept = KeptConnections()
    kept.take("a", 5, 0)
    kept.give_back("a", 100)

    assert not kept.take("a", 5, 5_101)


def test_two_exchanges_at_once_need_two_connections() -> None:
    """HTTP/1.1: one at a time."""
    kept = KeptConnections()
    kept.take("a", 5, 0)

    assert not kept.take("a", 5, 1)
    kept.give_back("a", 10)
    kept.give_back("a", 20)
    assert kept.take("a", 5, 30)
    assert kept.take("a", 5, 30)
    assert not kept.take("a", 5, 30)


def test_a_connection_that_is_free_only_later_is_not_free_now() -> None:
    """Simulated ends may lie ahead of another request's now."""
    kept = KeptConnections()
    kept.take("a", 5, 0)
    kept.give_back("a", 800)

    assert not kept.take("a", 5, 500)
    assert kept.take("a", 5, 900)


def test_caches_share_no_connections() -> None:
    """From where to where is the key."""
    kept = KeptConnections()
    kept.take(("LHR", "origin"), 5, 0)
    kept.give_back(("LHR", "origin"), 10)

    assert not kept.take(("NRT", "origin"), 5, 20)

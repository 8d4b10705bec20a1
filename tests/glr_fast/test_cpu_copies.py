"""Copies that are made again and again, in the memory of the first."""

from __future__ import annotations

import torch

from glr_fast.cpu_copies import copied, room_for


def test_copies_use_the_memory_of_the_copy_before() -> None:
    value = {"a": torch.ones(3), "b": [torch.ones(2), 5], "c": (1, torch.zeros(()))}
    first = copied(value)
    value["a"].fill_(2)
    again = copied(value, first)
    assert again["a"] is first["a"]
    assert again["a"].tolist() == [2, 2, 2]
    assert again["b"][0] is first["b"][0]
    assert again["b"][1] == 5
    assert isinstance(again["c"], tuple)
    grown = copied({"a": torch.ones(4), "new": torch.ones(1)}, first)
    assert grown["a"].tolist() == [1, 1, 1, 1]
    assert grown["new"].tolist() == [1]


def test_room_is_what_a_copy_fills() -> None:
    value = {"a": torch.ones(2, 3).T, "b": [torch.ones(2, dtype=torch.int64), 5], "c": (None,)}
    room = room_for(value)
    assert room["a"].tolist() == [[0, 0]] * 3
    full = copied(value, room)
    assert full["a"] is room["a"]
    assert full["b"][0] is room["b"][0]
    assert full["b"][0].tolist() == [1, 1]
    assert (full["b"][1], full["c"]) == (5, (None,))
    assert value["a"].sum() == 6

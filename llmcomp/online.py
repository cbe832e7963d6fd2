"""Online help: statistics of the text itself, mixed with the model's decisions.

In: the agreed probability of each decision, and the tokens as they become known. Out: a better
probability, the same on both sides. Knows nothing of models or of the coder.

A small model has no memory of the file beyond its window, and no lane sees what another lane read.
One set of statistics serves all lanes of a segment. In step t every lane's decisions are predicted
from what all lanes showed in the steps before; when the step's tokens are known, they are learnt
lane by lane. So the decoder, which steps all lanes at once, knows exactly what the encoder knew.

Each decision is helped by seven *contexts* of its lane (`open_step`): nothing, the last token, the
last 2, the last 4, the two before the last, what stands above in the line before, and the line's
first token with the column. A context and a node of the tree share one *slot* that remembers two
things: how often the answer was 0, and by how much the model was wrong here, as a shift of its
log-odds found by Newton's steps with a prior of zero. Two *matches* follow the latest place where
the last 8, or 3, tokens stood before, and vote for the token that came next there.

All of these are inputs of logistic mixing [Mahoney05]: the log-odds are weighted sums, three sums
with weights of their own choice of circumstances, averaged; the weights follow the gradient of the
cost. Before anything is learnt, all inputs but the model's are zero.

All arithmetic is on float64 in a fixed order, with `llmcomp.exact` for logarithms and exponentials,
and states are stored as integers or float64: no machine can come to another probability.

References:
    [Mahoney05] M. Mahoney, Adaptive weighing of context models for lossless data compression,
        Florida Tech. TR CS-2005-16, 2005.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from llmcomp.coding.range_coder import PROBABILITY_BITS
from llmcomp.exact import exp, log
from llmcomp.kernel import kernel

__all__ = ["NO_HELP", "OnlineHelp", "learn", "open_step", "predict"]

N_CONTEXTS = 7
N_MATCHES = 2
_ABOVE, _COLUMN = 5, 6  # places among the contexts

# inputs of the mixing: the model, a constant, a count and a shift for each context, the matches
_MODEL, _BIAS, _COUNTS, _VOTES = 0, 1, 2, 2 + 2 * N_CONTEXTS
N_INPUTS = _VOTES + N_MATCHES

MATCH_TOKENS = (8, 3)
"""A match begins where so many tokens agree."""

LONGEST_MATCH = 31
"""Longer ones are trusted as much as this one."""

_ONE = 1 << PROBABILITY_BITS
_MOST_ODDS = 16.0  # log-odds are kept within

# slots: 2**n of them, so many for each byte of the segment, within bounds
_SLOTS_PER_BYTE = 32
_SLOT_BITS = (12, 22)
_MATCH_BITS = (8, 18)

# a slot, from its lowest bit: shift 16, share of answer 0 16, curvature 12, count 6, check 14
_SHIFT_UNIT = 2.0**-10
_SHIFT_ZERO = 1 << 15
_MOST_SHIFT = 8.0
_SHARE_BITS = 16
_CURVATURE_UNIT = 2.0**-6
_MOST_CURVATURE = 4095
_MOST_COUNT = 63
_CHECK = np.uint64(50)  # where it begins

# what the maps of counts are looked up by: the count in 16 classes, the log-odds in steps of 1/2
_CELLS = 33
_COUNT_CLASSES = 16

# weights are chosen by three circumstances
_N_SETS = (5 * 5 * 4, 16 * 5, 4 * 4 * 6)

# rates and first values, found on texts that no table in the docs shows
_RATE = 0.005
_RATE_BEGINS = 4.0  # times as much more at first,
_RATE_FALLS = 20_000.0  # half of it after so many decisions
_MAP_RATE = 0.02
_FIRST_SHARE = 0.8  # after one answer 0
_SHARE_DELAY = 1.6
_PRIOR = 0.7  # of a shift, in units of the curvature p (1 - p)
_FIRST_COUNT_WEIGHT = 0.1
_FIRST_SHIFT_WEIGHT = 0.2
_FIRST_VOTE_WEIGHT = 0.15
_FIRST_VOTE = 3.0  # log-odds
_LEAST_VOTE = 0.01  # above zero: an input of zero is no vote

_FEWEST_SHARE = 32  # of 2**16: no counter says never

_ODDS_SHIFT = 4
_N_ODDS = 1 << (_SHARE_BITS - _ODDS_SHIFT)

ODDS = np.array([log((i + 0.5) / (_N_ODDS - i - 0.5)) for i in range(_N_ODDS)])
"""Log-odds of counters' shares, by their upper 12 bits: within 9."""

# columns of a lane's row: where its tokens begin, how many there are, where the present and the
# last line begin, how long that was, and for each match the place it votes with and its length
_START, _COUNT, _LINE, _ABOVE_LINE, _ABOVE_LENGTH, _MATCH = 0, 1, 2, 3, 4, 5
_COLUMNS = _MATCH + 2 * N_MATCHES

_CUT = 3  # among what was chosen for a decision

_NO_TOKEN = -1

Int64Array = npt.NDArray[np.int64]

_PER_LANE = (
    "lanes",
    "contexts",
    "inputs",
    "chosen",
    "places",
    "checks",
    "given",
    "n_decisions",
)


class OnlineHelp(NamedTuple):
    """The state of one segment's help; arrays only, so that kernels can take it whole.

    Attributes:
        on: int64[1], 1 if there is help at all.
        clock: int64[1], decisions learnt.
        breaks: uint8[V], 1 for tokens that hold a line break.
        rank: int64[V], leaf of each token id.
        weights: float64[3, S, N_INPUTS].
        maps: float64[N_CONTEXTS, 16, 33], log-odds by count and by the counter's own log-odds.
        votes: float64[N_MATCHES, LONGEST_MATCH + 1], log-odds by length.
        slots: uint64[2**n].
        found: int32[N_MATCHES, 2**m], where contexts of matches stood.
        history: int32[T], all lanes' tokens, each lane behind a place without one.
        lanes: int64[L, columns].
        contexts: uint64[L, N_CONTEXTS], of the step.
        inputs: float64[L, depth, N_INPUTS], of the step's decisions.
        chosen: int64[L, depth, 4], which weights they take, and their cuts.
        places: int64[L, depth, N_CONTEXTS], their slots.
        checks: uint64[L, depth, N_CONTEXTS], the slots' checks.
        given: float64[L, depth, 3], probabilities of the three sums.
        n_decisions: int64[L].
    """

    on: Int64Array
    clock: Int64Array
    breaks: npt.NDArray[np.uint8]
    rank: Int64Array
    weights: npt.NDArray[np.float64]
    maps: npt.NDArray[np.float64]
    votes: npt.NDArray[np.float64]
    slots: npt.NDArray[np.uint64]
    found: npt.NDArray[np.int32]
    history: npt.NDArray[np.int32]
    lanes: Int64Array
    contexts: npt.NDArray[np.uint64]
    inputs: npt.NDArray[np.float64]
    chosen: Int64Array
    places: Int64Array
    checks: npt.NDArray[np.uint64]
    given: npt.NDArray[np.float64]
    n_decisions: Int64Array

    @classmethod
    def begin(
        cls,
        rank: Int64Array,
        depth: int,
        token_bytes: Sequence[bytes],
        plain_lengths: Sequence[int],
    ) -> OnlineHelp:
        """Starts afresh for a segment.

        Args:
            rank: int64[V], leaf of each token id in the decision tree.
            depth: of the tree.
            token_bytes: the bytes of each token id.
            plain_lengths: bytes of each lane: no lane has more tokens.
        """
        breaks = np.array([b"\n" in token for token in token_bytes], np.uint8)
        return cls._sized(breaks, rank, plain_lengths, max(depth, 1), on=True)

    @classmethod
    def _sized(
        cls,
        breaks: npt.NDArray[np.uint8],
        rank: Int64Array,
        plain_lengths: Sequence[int],
        depth: int,
        *,
        on: bool,
    ) -> OnlineHelp:
        n_lanes, n_bytes = len(plain_lengths), sum(plain_lengths)
        low, high = _SLOT_BITS if on else (0, 0)
        slot_bits = min(max((_SLOTS_PER_BYTE * n_bytes).bit_length(), low), high)
        low, high = _MATCH_BITS if on else (0, 0)
        match_bits = min(max(n_bytes.bit_length(), low), high)
        weights = np.zeros((3, max(_N_SETS), N_INPUTS))
        weights[:, :, _MODEL] = 1.0
        weights[:, :, _COUNTS:_VOTES:2] = _FIRST_COUNT_WEIGHT
        weights[:, :, _COUNTS + 1 : _VOTES : 2] = _FIRST_SHIFT_WEIGHT
        weights[:, :, _VOTES:] = _FIRST_VOTE_WEIGHT
        maps = np.empty((N_CONTEXTS, _COUNT_CLASSES, _CELLS))
        maps[:] = (np.arange(_CELLS) - _CELLS // 2) * 0.5
        lanes = np.zeros((n_lanes, _COLUMNS), np.int64)
        places = np.cumsum([0, *(length + 1 for length in plain_lengths)])
        lanes[:, _START] = lanes[:, _LINE] = lanes[:, _ABOVE_LINE] = places[:-1] + 1
        lanes[:, _MATCH::2] = _NO_TOKEN
        return cls(
            on=np.array([on], np.int64),
            clock=np.zeros(1, np.int64),
            breaks=breaks,
            rank=rank,
            weights=weights,
            maps=maps,
            votes=np.full((N_MATCHES, LONGEST_MATCH + 1), _FIRST_VOTE),
            slots=np.zeros(1 << slot_bits, np.uint64),
            found=np.full((N_MATCHES, 1 << match_bits), _NO_TOKEN, np.int32),
            history=np.full(int(places[-1]) + 1, _NO_TOKEN, np.int32),
            lanes=lanes,
            contexts=np.zeros((n_lanes, N_CONTEXTS), np.uint64),
            inputs=np.zeros((n_lanes, depth, N_INPUTS)),
            chosen=np.zeros((n_lanes, depth, 4), np.int64),
            places=np.zeros((n_lanes, depth, N_CONTEXTS), np.int64),
            checks=np.zeros((n_lanes, depth, N_CONTEXTS), np.uint64),
            given=np.zeros((n_lanes, depth, 3)),
            n_decisions=np.zeros(n_lanes, np.int64),
        )

    def group(self, lanes: Sequence[int]) -> OnlineHelp:
        """Looks at some lanes, which step together; what is learnt is learnt by all."""
        if not self.on[0]:
            return self
        places = np.array(lanes, np.int64)
        return self._replace(**{name: getattr(self, name)[places] for name in _PER_LANE})


NO_HELP = OnlineHelp._sized(np.zeros(1, np.uint8), np.zeros(1, np.int64), [], 1, on=False)
"""Leaves the model's probabilities as they are."""


@kernel(inline="always")
def _hash(a, b):  # type: ignore[no-untyped-def]
    """Mixes two integers into 64 bits."""
    x = (np.uint64(a) + np.uint64(0x9E3779B97F4A7C15)) * np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(29)
    x = (x + np.uint64(b) + np.uint64(1)) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(32))


@kernel(inline="always")
def _probability(log_odds):  # type: ignore[no-untyped-def]
    return 1.0 / (1.0 + exp(-log_odds))


@kernel(inline="always")
def _within(x, most):  # type: ignore[no-untyped-def]
    return min(max(x, -most), most)


@kernel
def open_step(help_, lane):  # type: ignore[no-untyped-def]
    """Sets a lane's contexts before its next token."""
    if not help_.on[0]:
        return
    row, history, contexts = help_.lanes[lane], help_.history, help_.contexts[lane]
    help_.n_decisions[lane] = 0
    at = row[_START] + row[_COUNT]
    begin = row[_START]
    one = history[at - 1] if at - 1 >= begin else _NO_TOKEN
    two = history[at - 2] if at - 2 >= begin else _NO_TOKEN
    three = history[at - 3] if at - 3 >= begin else _NO_TOKEN
    four = history[at - 4] if at - 4 >= begin else _NO_TOKEN
    column = at - row[_LINE]
    above = above_next = _NO_TOKEN - 1
    if column < row[_ABOVE_LENGTH]:
        above = history[row[_ABOVE_LINE] + column]
    if column + 1 < row[_ABOVE_LENGTH]:
        above_next = history[row[_ABOVE_LINE] + column + 1]
    first = history[row[_LINE]] if column else _NO_TOKEN - 1
    contexts[0] = _hash(0, 0)
    contexts[1] = _hash(1, one)
    contexts[2] = _hash(_hash(2, one), two)
    contexts[3] = _hash(_hash(_hash(_hash(3, one), two), three), four)
    contexts[4] = _hash(_hash(4, two), three)
    contexts[_ABOVE] = _hash(_hash(_ABOVE, above), above_next)
    contexts[_COLUMN] = _hash(_hash(_COLUMN, first), min(column, 30))


@kernel(inline="always")
def _slot(slots, context, node):  # type: ignore[no-untyped-def]
    """Finds the slot of a context and a node: its place and its check.

    A slot may lie in one of two places. If it is in neither, the place is of the one that was used
    less, and what stands there is not `_known`.
    """
    hashed = _hash(context, node)
    check = hashed >> _CHECK
    place = np.int64(hashed & np.uint64(len(slots) - 1))
    if not _known(slots[place], check):
        other = place ^ 1
        if _known(slots[other], check) or _count(slots[other]) < _count(slots[place]):
            place = other
    return place, check


@kernel(inline="always")
def _known(slot, check):  # type: ignore[no-untyped-def]
    return slot >> _CHECK == check and _count(slot) > 0


@kernel(inline="always")
def _count(slot):  # type: ignore[no-untyped-def]
    return np.int64(slot >> np.uint64(44)) & 0x3F


@kernel(inline="always")
def _curvature(slot):  # type: ignore[no-untyped-def]
    return np.int64(slot >> np.uint64(32)) & 0xFFF


@kernel(inline="always")
def _share(slot):  # type: ignore[no-untyped-def]
    return np.int64(slot >> np.uint64(16)) & 0xFFFF


@kernel(inline="always")
def _shift(slot):  # type: ignore[no-untyped-def]
    return (np.int64(slot & np.uint64(0xFFFF)) - _SHIFT_ZERO) * _SHIFT_UNIT


@kernel(inline="always")
def _packed(check, count, curvature, share, shift):  # type: ignore[no-untyped-def]
    """Writes a slot, its parts rounded and kept within bounds."""
    count = min(count, _MOST_COUNT)
    curvature = min(np.int64(np.rint(curvature)), _MOST_CURVATURE)
    share = np.int64(np.rint(share))
    share = min(max(share, _FEWEST_SHARE), (1 << _SHARE_BITS) - _FEWEST_SHARE)
    shift = np.int64(np.rint(_within(shift, _MOST_SHIFT) / _SHIFT_UNIT)) + _SHIFT_ZERO
    return check << _CHECK | np.uint64(count << 44 | curvature << 32 | share << 16 | shift)


@kernel(inline="always")
def _cell(odds):  # type: ignore[no-untyped-def]
    """The cell of a map that is nearest to a counter's log-odds."""
    return np.int64(np.rint(odds * 2.0)) + _CELLS // 2


@kernel(inline="always")
def _class(count):  # type: ignore[no-untyped-def]
    return count if count < 8 else 8 + (count - 8) // 8


@kernel
def predict(help_, lane, node, low, cut, high, p0):  # type: ignore[no-untyped-def]
    """Predicts a lane's next decision.

    Args:
        help_: the state; only the lane's own part is written.
        lane: which lane.
        node: of the tree.
        low: first leaf of the node's range.
        cut: first leaf of its right half.
        high: end of its range.
        p0: the model's probability of answer 0, in units of ``2**-24``.

    Returns:
        The helped probability in the same units, never 0 or 1; ``p0`` itself without help.
    """
    if not help_.on[0]:
        return p0
    k = help_.n_decisions[lane]
    help_.n_decisions[lane] = k + 1
    x = help_.inputs[lane, k]
    model = log(p0 / (_ONE - p0))
    x[_MODEL], x[_BIAS] = model, 0.3
    longest = most = first = second = 0
    for i in range(N_CONTEXTS):
        place, check = _slot(help_.slots, help_.contexts[lane, i], node)
        help_.places[lane, k, i], help_.checks[lane, k, i] = place, check
        slot = help_.slots[place]
        if not _known(slot, check):
            x[_COUNTS + 2 * i] = x[_COUNTS + 2 * i + 1] = 0.0
            continue
        count = _count(slot)
        odds = ODDS[_share(slot) >> _ODDS_SHIFT]
        cell = _cell(odds)
        mapped = help_.maps[i, _class(count), cell]
        x[_COUNTS + 2 * i] = mapped + (odds - (cell - _CELLS // 2) * 0.5)
        x[_COUNTS + 2 * i + 1] = _shift(slot)
        if 1 <= i <= 3:
            longest = i
        if i == 1:
            first = 1 + (count >= 3) + (count >= 10)
        if i == 2:
            second = 1 + (count >= 3) + (count >= 10)
        if i >= 1:
            most = max(most, min(count, 3))
    for m in range(N_MATCHES):
        x[_VOTES + m] = 0.0
        place = help_.lanes[lane, _MATCH + 2 * m]
        if place >= 0:
            leaf = help_.rank[help_.history[place]]
            if low <= leaf < high:
                vote = help_.votes[m, help_.lanes[lane, _MATCH + 2 * m + 1]]
                x[_VOTES + m] = vote if leaf < cut else -vote
                longest = 4
    sure = abs(model)
    sure = 0 if sure < 0.5 else 1 if sure < 1.5 else 2 if sure < 3.0 else 3 if sure < 5.0 else 4
    side = 0 if model < -3.0 else 1 if model < -1.0 else 2 if model < 0.0 else 3
    side = side + (model >= 1.0) + (model >= 3.0)
    chosen, given = help_.chosen[lane, k], help_.given[lane, k]
    chosen[0] = (longest * 5 + sure) * 4 + most
    chosen[1] = min(k, 15) * 5 + sure
    chosen[2] = (first * 4 + second) * 6 + side
    chosen[_CUT] = cut
    total = 0.0
    for s in range(3):
        odds = 0.0
        weights = help_.weights[s, chosen[s]]
        for i in range(N_INPUTS):
            odds += weights[i] * x[i]
        odds = _within(odds, _MOST_ODDS)
        given[s] = _probability(odds)
        total += odds
    helped = np.int64(np.rint(_probability(total / 3.0) * _ONE))
    return min(max(helped, 1), _ONE - 1)


@kernel
def learn(help_, tokens, alive):  # type: ignore[no-untyped-def]
    """Learns the tokens of a step, lane by lane.

    Args:
        help_: the state.
        tokens: int64[L].
        alive: bool[L]; others are left alone.
    """
    if not help_.on[0]:
        return
    for lane in range(len(alive)):
        if alive[lane]:
            _learn_answers(help_, lane, help_.rank[tokens[lane]])
            _append(help_, lane, tokens[lane])


@kernel
def _learn_answers(help_, lane, leaf):  # type: ignore[no-untyped-def]
    """Moves weights, maps, votes and slots towards the answers that lead to a leaf."""
    slots = help_.slots
    for k in range(help_.n_decisions[lane]):
        x, chosen, given = help_.inputs[lane, k], help_.chosen[lane, k], help_.given[lane, k]
        answer = 1.0 if leaf < chosen[_CUT] else 0.0
        rate = _RATE * (1.0 + _RATE_BEGINS / (1.0 + help_.clock[0] / _RATE_FALLS))
        help_.clock[0] += 1
        for s in range(3):
            weights, step = help_.weights[s, chosen[s]], (answer - given[s]) * rate
            for i in range(N_INPUTS):
                weights[i] += step * x[i]
        for m in range(N_MATCHES):
            if x[_VOTES + m] != 0.0:
                length = help_.lanes[lane, _MATCH + 2 * m + 1]
                # a vote is negative where it is for answer 1
                right = (x[_VOTES + m] > 0.0) == (answer == 1.0)
                vote = help_.votes[m, length]
                help_.votes[m, length] = max(vote + _towards(vote, right), _LEAST_VOTE)
        for i in range(N_CONTEXTS):
            place, check = help_.places[lane, k, i], help_.checks[lane, k, i]
            slot = slots[place]
            if _known(slot, check):
                count, share, shift = _count(slot), _share(slot), _shift(slot)
                curvature = _curvature(slot) * 1.0
                cell = _cell(ODDS[share >> _ODDS_SHIFT])
                mapped = help_.maps[i, _class(count), cell]
                # the map's error, not that of what lies between its cells
                help_.maps[i, _class(count), cell] = mapped + _towards(mapped, answer)
                share += (answer * (1 << _SHARE_BITS) - share) / (count + _SHARE_DELAY)
            else:
                count, shift, curvature = 0, 0.0, 0.0
                share = (_FIRST_SHARE if answer else 1.0 - _FIRST_SHARE) * (1 << _SHARE_BITS)
            p = _probability(x[_MODEL] + shift)
            shift += (answer - p) / (_PRIOR + curvature * _CURVATURE_UNIT)
            curvature += p * (1.0 - p) / _CURVATURE_UNIT
            slots[place] = _packed(check, count + 1, curvature, share, shift)


@kernel(inline="always")
def _towards(odds, answer):  # type: ignore[no-untyped-def]
    """How far log-odds move when the answer turns out 1.0 or 0.0."""
    p = _probability(odds)
    return (answer - p) * _MAP_RATE / (p * (1.0 - p) + 0.05)


@kernel
def _append(help_, lane, token):  # type: ignore[no-untyped-def]
    """Adds a token to its lane's history, and moves the lane's matches and lines."""
    row, history, found = help_.lanes[lane], help_.history, help_.found
    at = row[_START] + row[_COUNT]
    history[at] = token
    row[_COUNT] += 1
    for m in range(N_MATCHES):
        column, n_tokens = _MATCH + 2 * m, MATCH_TOKENS[m]
        if row[_COUNT] > n_tokens:  # where these tokens stood, this one came next
            place = _hash_before(history, at, n_tokens) & np.uint64(len(found[m]) - 1)
            found[m, np.int64(place)] = at
        follows = row[column]
        if follows >= 0 and history[follows] == token and history[follows + 1] >= 0:
            row[column] = follows + 1
            row[column + 1] = min(row[column + 1] + 1, LONGEST_MATCH)
            continue
        row[column] = _NO_TOKEN
        if row[_COUNT] < n_tokens:
            continue
        hashed = _hash_before(history, at + 1, n_tokens) & np.uint64(len(found[m]) - 1)
        place, length = found[m, np.int64(hashed)], 0
        if place < 0:
            continue
        while (
            length < LONGEST_MATCH
            and length < row[_COUNT]
            and history[place - 1 - length] == history[at - length]
        ):
            length += 1
        if length >= n_tokens:
            row[column], row[column + 1] = place, length
    if help_.breaks[token]:
        row[_ABOVE_LINE], row[_ABOVE_LENGTH] = row[_LINE], at + 1 - row[_LINE]
        row[_LINE] = at + 1


@kernel(inline="always")
def _hash_before(history, at, n_tokens):  # type: ignore[no-untyped-def]
    """Hashes the tokens that end before a place."""
    hashed = np.uint64(n_tokens)
    for i in range(n_tokens):
        hashed = _hash(hashed, history[at - 1 - i])
    return hashed

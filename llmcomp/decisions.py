"""Tokens as paths of yes/no decisions, each with an agreed integer probability.

In: logits on which both sides agree to the bit (profile ``fixed``). Out: integer masses, and from
them ``(p0, answer)`` pairs for the range coder. The last place where a float matters: from the
masses on, all is integer.

The leaves of the tree are the token ids in byte order of the tokens, so every decision reads
"before or after *m* in the dictionary?", and the order of texts is the order of their numbers.
Nodes split their leaves by a frozen weight, so that frequent tokens sit near the root: about
ten decisions a token instead of thirteen.

Masses are integers and their running sum is exact, so a node's mass is one subtraction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from llmcomp.coding.range_coder import PROBABILITY_BITS, LaneDecoders, decode_answer
from llmcomp.exact import exp
from llmcomp.kernel import kernel
from llmcomp.online import NO_HELP, OnlineHelp, learn, open_step, predict
from llmcomp.parallel import each_part
from llmcomp.tracing import CANDIDATES

IntArray = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]

MASS_BITS = 36
"""The likeliest token's mass is ``2**36 + 1``; every token has at least 1."""

MAX_VOCABULARY = 1 << 18
"""The masses of so many tokens still sum up in int64, with room to spare."""

_LOWEST = -30.0  # exp(-30) * 2**36 < 0.01: below, the mass is 1 whatever the logit
_ONE = 1 << PROBABILITY_BITS


@dataclass(frozen=True, slots=True)
class DecisionTree:
    """A binary tree over the leaves ``0..V-1``, the tokens in byte order.

    Node n decides between the leaves ``[.., cut[n])`` and ``[cut[n], ..)`` of its range; a child
    below zero is a leaf. A tree over one token has no node and costs nothing.

    Attributes:
        order: int64[V], token id of each leaf.
        rank: int64[V], leaf of each token id.
        cut: int64[V-1], first leaf of the right half.
        left: int64[V-1], left child.
        right: int64[V-1], right child.
        depth: longest path.
    """

    order: IntArray
    rank: IntArray
    cut: IntArray
    left: IntArray
    right: IntArray
    depth: int

    @classmethod
    def build(cls, tokens: Sequence[bytes], weights: npt.NDArray[np.integer]) -> DecisionTree:
        """Sorts the tokens and splits them, always as evenly by weight as a cut can.

        Args:
            tokens: the bytes of each token id, all different.
            weights: int[V], at least 1 each; only their proportions matter, and only for speed.

        Raises:
            ValueError: if tokens repeat, are too many, or a weight is below 1.

        >>> tree = DecisionTree.build([b"b", b"a", b"c"], np.array([2, 1, 1]))
        >>> tree.order.tolist(), tree.cut.tolist()
        ([1, 0, 2], [1, 2])
        """
        if len(set(tokens)) != len(tokens) or not 0 < len(tokens) <= MAX_VOCABULARY:
            raise ValueError(f"a tree wants 1 to {MAX_VOCABULARY} different tokens")
        if len(weights) != len(tokens) or int(np.min(weights)) < 1:
            raise ValueError("a tree wants one weight of at least 1 for each token")
        order = np.array(sorted(range(len(tokens)), key=tokens.__getitem__), np.int64)
        total = np.concatenate(([0], np.cumsum(np.asarray(weights, np.int64)[order])))
        cut = np.zeros(len(order) - 1, np.int64)
        left, right = np.full_like(cut, -1), np.full_like(cut, -1)
        depth = _split(total, cut, left, right) if len(cut) else 0
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        return cls(order, rank, cut, left, right, depth)


@kernel
def _split(total, cut, left, right):  # type: ignore[no-untyped-def]
    """Cuts leaf ranges, parents before children; returns the depth.

    ``total`` int64[V + 1] is the running sum of weights, ``2 * total[V]`` fits int64.
    """
    n_nodes = len(cut)
    # node, low, high, depth; written one by one, because whole rows take seconds to compile
    todo = np.zeros((n_nodes + 1, 4), np.int64)
    todo[0, 2], todo[0, 3] = n_nodes + 1, 1
    waiting, deepest, next_node = 1, 0, 1
    while waiting:
        waiting -= 1
        node, low, high, depth = [todo[waiting, i] for i in range(4)]
        deepest = max(deepest, depth)
        # the cut whose two sides are nearest in weight; the lower of two that tie
        middle = total[low] + total[high]
        best, end = low + 1, high
        while best < end:
            between = (best + end) // 2
            if 2 * total[between] < middle:
                best = between + 1
            else:
                end = between
        if best == high or (
            best - 1 > low and middle - 2 * total[best - 1] <= 2 * total[best] - middle
        ):
            best -= 1
        cut[node] = best
        for side, first, last in ((left, low, best), (right, best, high)):
            if last - first > 1:
                side[node] = next_node
                todo[waiting, 0], todo[waiting, 1] = next_node, first
                todo[waiting, 2], todo[waiting, 3] = last, depth + 1
                next_node, waiting = next_node + 1, waiting + 1
    return deepest


@dataclass(frozen=True, slots=True)
class Decisions:
    """What N tokens cost: their decisions, one after the other.

    Attributes:
        p0: int32[K], probability of answer 0 in units of ``2**-24``.
        answers: uint8[K].
        nodes: int32[K], the tree's node that asked.
        counts: int64[N], decisions of each token.
        ideal_bits: float64[N], ``-log2`` of each token's mass over the total.
    """

    p0: npt.NDArray[np.int32]
    answers: npt.NDArray[np.uint8]
    nodes: npt.NDArray[np.int32]
    counts: IntArray
    ideal_bits: Float64Array


NO_DECISIONS = Decisions(
    np.zeros(0, np.int32),
    np.zeros(0, np.uint8),
    np.zeros(0, np.int32),
    np.zeros(0, np.int64),
    np.zeros(0),
)
"""What no token costs."""


def decide(tree: DecisionTree, logits: Float64Array, tokens: npt.NDArray[np.integer]) -> Decisions:
    """Turns known tokens into decisions.

    Args:
        tree: the model's tree.
        logits: float64[N, V], one row for each token.
        tokens: int[N], the ids to be coded.
    """
    n = len(tokens)
    p0 = np.empty((n, tree.depth), np.int32)
    nodes = np.empty((n, tree.depth), np.int32)
    answers = np.empty((n, tree.depth), np.uint8)
    counts, ideal = np.empty(n, np.int64), np.empty(n, np.float64)
    leaves = tree.rank[np.asarray(tokens, np.int64)]
    logits = np.ascontiguousarray(logits)

    def some(part: slice) -> None:
        _decide(
            logits[part],
            leaves[part],
            tree.order,
            tree.cut,
            tree.left,
            tree.right,
            p0[part],
            answers[part],
            nodes[part],
            counts[part],
            ideal[part],
        )

    each_part(n, some)
    used = np.arange(tree.depth) < counts[:, None]
    return Decisions(p0[used], answers[used], nodes[used], counts, ideal)


def decode(
    tree: DecisionTree,
    logits: Float64Array,
    lanes: LaneDecoders,
    alive: npt.NDArray[np.bool_],
    help_: OnlineHelp = NO_HELP,
) -> IntArray:
    """Decodes the next token of every living lane.

    Args:
        tree: the model's tree.
        logits: float64[L, V].
        lanes: the lanes' decoders, whose registers move on.
        alive: bool[L]; other lanes are left alone and give id 0.
        help_: of these lanes; it learns what they decode to.

    Returns:
        int64[L], token ids.
    """
    tokens = np.zeros(len(alive), np.int64)
    logits = np.ascontiguousarray(logits)

    def some(part: slice) -> None:
        _decode(
            logits[part],
            tree.order,
            tree.cut,
            tree.left,
            tree.right,
            lanes.state[part],
            lanes.data,
            lanes.start[part],
            lanes.stop[part],
            alive[part],
            tokens[part],
            help_,
            part.start,
        )

    each_part(len(alive), some)
    learn(help_, tokens, alive)
    return tokens


def cumulative_masses(tree: DecisionTree, logits: Float64Array) -> IntArray:
    """Gives every token its integer mass, summed up in leaf order.

    Args:
        tree: the model's tree.
        logits: float64[N, V].

    Returns:
        int64[N, V + 1]; leaf i owns ``[c[i], c[i + 1])``, at least 1 wide.
    """
    cumulative = np.empty((len(logits), len(tree.order) + 1), np.int64)
    masses = np.empty(len(tree.order), np.int64)
    for row, out in zip(np.ascontiguousarray(logits), cumulative, strict=True):
        _accumulate(row, tree.order, masses, out)
    return cumulative


@dataclass(frozen=True, slots=True)
class Survey:
    """What the model expected at N places; for pictures, not for coding.

    Attributes:
        entropy_bits: float64[N], expected cost before the token is known.
        ranks: int64[N], how many tokens have a larger mass than the true one.
        candidates: int64[N, C], the ids of largest mass, best first, lower leaf first on a tie.
        offset: float64[N, C], where in the interval each candidate's own would begin.
        share: float64[N, C], how much of the interval it would keep.
        paths: int32[N, C, depth], ``p0`` of the decisions that lead to each candidate.
    """

    entropy_bits: Float64Array
    ranks: IntArray
    candidates: IntArray
    offset: Float64Array
    share: Float64Array
    paths: npt.NDArray[np.int32]


def survey(
    tree: DecisionTree,
    logits: Float64Array,
    tokens: npt.NDArray[np.integer],
    n_candidates: int = CANDIDATES,
) -> Survey:
    """Reads entropy, ranks and candidates' intervals from the tables the coder uses.

    Args:
        tree: the model's tree.
        logits: float64[N, V].
        tokens: int[N], the true ids.
        n_candidates: C, at most V.
    """
    n, C = len(tokens), min(n_candidates, len(tree.order))
    found = Survey(
        np.empty(n),
        np.empty(n, np.int64),
        np.empty((n, C), np.int64),
        np.empty((n, C)),
        np.empty((n, C)),
        np.zeros((n, C, tree.depth), np.int32),
    )
    _survey(
        np.ascontiguousarray(logits),
        tree.rank[np.asarray(tokens, np.int64)],
        tree.order,
        tree.cut,
        tree.left,
        tree.right,
        found.entropy_bits,
        found.ranks,
        found.candidates,
        found.offset,
        found.share,
        found.paths,
    )
    return found


def help_decisions(
    tree: DecisionTree,
    help_: OnlineHelp,
    tokens: Sequence[npt.NDArray[np.integer]],
    decisions: Sequence[Decisions],
    surveys: Sequence[Survey] = (),
) -> tuple[list[Decisions], list[Survey]]:
    """Walks lanes that step together, as the decoder does, and lets online help change ``p0``.

    Args:
        tree: the model's tree.
        help_: of these lanes; it learns their tokens.
        tokens: int[T], each lane's ids.
        decisions: each lane's, with agreed probabilities.
        surveys: each lane's, if pictures are wanted; their candidates, which the model chose, get
            the intervals that the coder would have used, and are sorted by these.

    Returns:
        The same decisions with other ``p0``, where they belong to a node, and the surveys.
    """
    ids = np.concatenate(tokens).astype(np.int64)
    lengths = np.array([len(lane) for lane in tokens], np.int64)
    p0 = np.concatenate([d.p0 for d in decisions])
    shape = (len(ids), surveys[0].candidates.shape[1] if surveys else 0)
    offset, share = np.zeros(shape), np.zeros(shape)
    candidates, paths = np.zeros(shape, np.int64), np.zeros((*shape, 1), np.int32)
    if surveys:
        candidates = tree.rank[np.concatenate([seen.candidates for seen in surveys])]
        paths = np.concatenate([seen.paths for seen in surveys])
    _help(
        help_,
        tree.cut,
        tree.left,
        tree.right,
        ids,
        lengths,
        np.concatenate([d.counts for d in decisions]),
        np.concatenate([d.nodes for d in decisions]),
        p0,
        candidates,
        paths,
        offset,
        share,
    )
    pieces = np.split(p0, np.cumsum([len(d.p0) for d in decisions])[:-1])
    helped = [replace(d, p0=piece) for piece, d in zip(pieces, decisions, strict=True)]
    views = []
    for seen, end in zip(surveys, np.cumsum(lengths), strict=bool(surveys)):
        here = slice(end - len(seen.ranks), end)
        best = np.argsort(-share[here], axis=1, kind="stable")
        views.append(
            replace(
                seen,
                candidates=np.take_along_axis(seen.candidates, best, axis=1),
                offset=np.take_along_axis(offset[here], best, axis=1),
                share=np.take_along_axis(share[here], best, axis=1),
            )
        )
    return helped, views


@kernel
def _accumulate(logits, order, masses, cumulative):  # type: ignore[no-untyped-def]
    """Masses of one row: float64[V] -> int64[V] by id and int64[V + 1] by leaf."""
    top = logits[0]
    for v in range(1, len(logits)):
        top = max(top, logits[v])
    for v in range(len(logits)):
        x = max(logits[v] - top, _LOWEST)
        masses[v] = 1 + np.int64(np.rint(exp(x) * (1 << MASS_BITS)))
    cumulative[0] = 0
    for leaf in range(len(order)):
        cumulative[leaf + 1] = cumulative[leaf] + masses[order[leaf]]


@kernel
def _p0(cumulative, low, cut, high):  # type: ignore[no-untyped-def]
    """The agreed probability of 'before': one IEEE division of exact integers, rounded once."""
    share = (cumulative[cut] - cumulative[low]) / (cumulative[high] - cumulative[low])
    return min(max(np.int64(np.rint(share * _ONE)), 1), _ONE - 1)


@kernel
def _decide(  # type: ignore[no-untyped-def]
    logits, leaves, order, cuts, left, right, p0, answers, nodes, counts, ideal
):
    vocabulary = len(order)
    masses = np.empty(vocabulary, np.int64)
    cumulative = np.empty(vocabulary + 1, np.int64)
    for n in range(len(leaves)):
        _accumulate(logits[n], order, masses, cumulative)
        leaf, low, high, node, k = leaves[n], 0, vocabulary, 0, 0
        while high - low > 1:
            cut = cuts[node]
            p0[n, k] = _p0(cumulative, low, cut, high)
            nodes[n, k] = node
            if leaf < cut:
                answers[n, k] = 0
                high, node = cut, left[node]
            else:
                answers[n, k] = 1
                low, node = cut, right[node]
            k += 1
        counts[n] = k
        mass = cumulative[leaf + 1] - cumulative[leaf]
        ideal[n] = np.log2(cumulative[vocabulary] / mass)


@kernel
def _decode(  # type: ignore[no-untyped-def]
    logits, order, cuts, left, right, state, data, start, stop, alive, tokens, help_, first
):
    vocabulary = len(order)
    masses = np.empty(vocabulary, np.int64)
    cumulative = np.empty(vocabulary + 1, np.int64)
    for lane in range(len(alive)):
        if not alive[lane]:
            continue
        _accumulate(logits[lane], order, masses, cumulative)
        open_step(help_, first + lane)
        low, high, node = 0, vocabulary, 0
        while high - low > 1:
            cut = cuts[node]
            probability = _p0(cumulative, low, cut, high)
            probability = predict(help_, first + lane, node, low, cut, high, probability)
            if decode_answer(state[lane], data, start[lane], stop[lane], probability) == 0:
                high, node = cut, left[node]
            else:
                low, node = cut, right[node]
        tokens[lane] = order[low]


@kernel
def _survey(  # type: ignore[no-untyped-def]
    logits, leaves, order, cuts, left, right, entropy, ranks, candidates, offset, share, paths
):
    vocabulary = len(order)
    masses = np.empty(vocabulary, np.int64)
    cumulative = np.empty(vocabulary + 1, np.int64)
    best = np.empty(candidates.shape[1], np.int64)
    for n in range(len(leaves)):
        _accumulate(logits[n], order, masses, cumulative)
        total = cumulative[vocabulary]
        true_mass = masses[order[leaves[n]]]
        surprise, larger, kept = 0.0, 0, 0
        for leaf in range(vocabulary):
            mass = masses[order[leaf]]
            surprise += mass * np.log2(total / mass)
            larger += mass > true_mass
            # insertion into the best so far; strictly larger moves ahead, so ties keep leaf order
            at = kept
            while at > 0 and mass > masses[order[best[at - 1]]]:
                at -= 1
            if at < len(best):
                kept = min(kept + 1, len(best))
                for i in range(kept - 1, at, -1):
                    best[i] = best[i - 1]
                best[at] = leaf
        entropy[n], ranks[n] = surprise / total, larger
        for c in range(len(best)):
            leaf = best[c]
            candidates[n, c] = order[leaf]
            low, high, node, k = 0, vocabulary, 0, 0
            while high - low > 1:
                cut = cuts[node]
                paths[n, c, k] = _p0(cumulative, low, cut, high)
                k += 1
                if leaf < cut:
                    high, node = cut, left[node]
                else:
                    low, node = cut, right[node]
            offset[n, c], share[n, c] = _interval(leaf, cuts, left, right, paths[n, c])


@kernel
def _interval(leaf, cuts, left, right, path):  # type: ignore[no-untyped-def]
    """Where a token's interval begins in the present one, and how wide it is."""
    start, width, low, high, node, k = 0.0, 1.0, 0, len(cuts) + 1, 0, 0
    while high - low > 1:
        cut, before = cuts[node], path[k] / _ONE
        k += 1
        if leaf < cut:
            width, high, node = width * before, cut, left[node]
        else:
            start, width = start + width * before, width * (1.0 - before)
            low, node = cut, right[node]
    return start, width


@kernel
def _help(  # type: ignore[no-untyped-def]
    help_,
    cuts,
    left,
    right,
    tokens,
    lengths,
    counts,
    nodes,
    p0,
    candidates,
    paths,
    offset,
    share,
):
    """Walks lanes that step together, as the decoder does, and replaces ``p0``."""
    n_lanes = len(lengths)
    token_at = np.cumsum(lengths) - lengths
    starts = np.cumsum(counts) - counts
    alive, step_tokens = np.zeros(n_lanes, np.bool_), np.zeros(n_lanes, np.int64)
    for step in range(lengths.max()):
        for lane in range(n_lanes):
            alive[lane] = step < lengths[lane]
            if not alive[lane]:
                continue
            at = token_at[lane] + step
            for c in range(candidates.shape[1]):
                leaf, path = candidates[at, c], paths[at, c]
                _help_path(help_, lane, leaf, cuts, left, right, path)
                offset[at, c], share[at, c] = _interval(leaf, cuts, left, right, path)
            step_tokens[lane] = tokens[at]
            first, stop = starts[at], starts[at] + counts[at]
            while first < stop and nodes[first] < 0:  # agreement's own stand in front
                first += 1
            # after the candidates: what the last walk leaves behind is learnt from
            leaf = help_.rank[tokens[at]]
            _help_path(help_, lane, leaf, cuts, left, right, p0[first:stop])
        learn(help_, step_tokens, alive)


@kernel
def _help_path(help_, lane, leaf, cuts, left, right, path):  # type: ignore[no-untyped-def]
    """Replaces the probabilities on the way to a leaf."""
    open_step(help_, lane)
    low, high, node, k = 0, len(cuts) + 1, 0, 0
    while high - low > 1:
        cut = cuts[node]
        path[k] = predict(help_, lane, node, low, cut, high, path[k])
        k += 1
        if leaf < cut:
            high, node = cut, left[node]
        else:
            low, node = cut, right[node]

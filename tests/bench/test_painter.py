"""A painting in one pass, by us and by PyTorch: the same picture."""

from __future__ import annotations

import numpy as np
import pytest

from scratchnst.bench import painter
from scratchnst.bench.names import PEERS
from scratchnst.bench.painter import AnyStylePainter, Painter
from scratchnst.bench.peer_painter import PeerAnyStylePainter, PeerPainter
from scratchnst.errors import UserError


@pytest.mark.parametrize("memory_format", PEERS.values())
@pytest.mark.parametrize(("ours", "theirs"), [(Painter, PeerPainter), (AnyStylePainter, PeerAnyStylePainter)])
def test_pytorch_paints_the_same(memory_format, ours, theirs):
    pytest.importorskip("torch", reason="PyTorch, the peer, is not installed: pip install torch")
    mean, painting = ours(40).compared()
    peer = theirs(40, memory_format=memory_format)
    peers_mean, theirs = peer.compared()
    assert painting.shape == (40, 40, 3)
    assert painting.std() > 10
    assert peers_mean == pytest.approx(mean, rel=1e-4)
    np.testing.assert_allclose(peer.on_host(theirs), painting, atol=0.1)


@pytest.mark.parametrize("size", [4, 30])
def test_sizes_that_are_not_painted_as_they_are(size):
    with pytest.raises(UserError, match=f"not {size}: choose other --sizes"):
        painter.check(size)
    painter.check(32)

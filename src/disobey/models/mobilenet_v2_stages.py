"""The shape of MobileNetV2 (Sandler et al. 2018, table 2): what network and options share."""

# Expansion, channels, blocks and stride of each stage.
STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
)  # fmt: skip
STEM, LAST = 32, 1280


def scaled(channels: int, width: float) -> int:
    """Return ``width`` times the channels, to a multiple of eight, losing a tenth at most."""
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded

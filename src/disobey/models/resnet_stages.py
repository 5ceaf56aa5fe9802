"""The shape of ResNet-18, 34 and 50 (He et al. 2015, table 1): what network and options share."""

STEM = 64  # channels
# Blocks of each stage, channels inside and behind a block.
STAGES = {
    18: ((2, 2, 2, 2), (64, 128, 256, 512), (64, 128, 256, 512)),
    34: ((3, 4, 6, 3), (64, 128, 256, 512), (64, 128, 256, 512)),
    50: ((3, 4, 6, 3), (64, 128, 256, 512), (256, 512, 1024, 2048)),
}
BOTTLENECK_FROM = 50  # this depth on, a block is three convolutions, the outer ones 1 x 1

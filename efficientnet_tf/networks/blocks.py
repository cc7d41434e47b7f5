"""What gets built: blocks and networks, every number final."""

from __future__ import annotations

from dataclasses import dataclass

from efficientnet_tf.networks.stages import (
    Activation,
    Kind,
    Normalization,
    Padding,
)

# Name of the layer that classifies, as in keras.applications.
HEAD = "predictions"


@dataclass(frozen=True)
class Block:
    """A block as it gets built.

    Attributes:
        name: Stage number and letters, as in keras.applications: "3b".
        stage: Number of the stage, from 1.
        kind: See `Stage`.
        kernel: Side of the kernel that filters space.
        stride: Its stride.
        padding: "same" is TensorFlow's; "symmetric" pads half a kernel on
            every side.
        inputs: Channels that come in.
        space_to_depth: A 2x2 convolution of stride 2 first makes four times
            the channels of them.
        expands: Whether a convolution makes the expanded channels; if not,
            the kernel filters what comes in.
        expanded: Channels between expansion and projection; of a bottleneck
            those that the kernel filters.
        squeeze: Channels of the squeeze-and-excitation bottleneck, 0 for none.
        outputs: Channels that go out.
        activation: Activation of the block.
        residual: Whether the input is added to the output, in a bottleneck
            through the `shortcut`.
        drop_path: Probability of dropping the branch in training.
        experts: Kernels that each convolution mixes for an image, 0 for one
            kernel for all.
        bias: Whether convolutions have a bias besides their batch norm.
        stride_first: Whether a bottleneck strides in its first convolution.
    """

    name: str
    stage: int
    kind: Kind
    kernel: int
    stride: int
    padding: Padding
    inputs: int
    space_to_depth: bool
    expands: bool
    expanded: int
    squeeze: int
    outputs: int
    activation: Activation
    residual: bool
    drop_path: float
    experts: int
    bias: bool
    stride_first: bool

    @property
    def projects(self) -> bool:
        """Whether a 1x1 convolution makes the outputs.

        A fused block that does not expand is a single convolution.
        """
        return self.kind != "fused" or self.expands

    @property
    def shortcut(self) -> bool:
        """Whether a 1x1 convolution makes what is added, of the inputs."""
        fits = self.stride == 1 and self.inputs == self.outputs
        return self.kind == "bottleneck" and self.residual and not fits

    @property
    def halves(self) -> bool:
        """Whether the outputs have half the resolution of the inputs."""
        return self.stride == 2 or self.space_to_depth


@dataclass(frozen=True)
class Network:
    """A network as it gets built: a stem, blocks, a head.

    Attributes:
        name: Name of the variant.
        pixels: Side of the square input image.
        classes: Number of logits; 0 ends with the pooled features.
        stem: Channels of the stem.
        blocks: The blocks in order.
        head: Channels of the head, before pooling; 0 for no head.
        activation: Activation of the stem and the head.
        dropout: Probability of dropping a pooled feature in training.
        drop_path: Drop probability that the blocks' linear ramp aims at.
        normalization: What is done to pixels before the network.
        stem_kernel: Side of the stem's kernel, whose stride is 2.
        stem_pool: Whether a 3x3 max pooling of stride 2 follows.
        stem_padding: Of both; see `Block`.
        stem_bias: Whether the stem's convolution has a bias.
        batch_norm_epsilon: Added to variances.
    """

    name: str
    pixels: int
    classes: int
    stem: int
    blocks: tuple[Block, ...]
    head: int
    activation: Activation
    dropout: float
    drop_path: float
    normalization: Normalization
    stem_kernel: int
    stem_pool: bool
    stem_padding: Padding
    stem_bias: bool
    batch_norm_epsilon: float

    @property
    def features(self) -> int:
        """Channels that are pooled."""
        return self.head or self.blocks[-1].outputs

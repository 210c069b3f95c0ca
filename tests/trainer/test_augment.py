"""Augmentations: their formulas once more in NumPy, p's rule, the global batch's numbers, what is refused."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.steps import drawn, fed
from trainer import augment, config, randomness
from trainer.augment import AUGMENTATIONS, Augmentation, geometry
from trainer.environment.tf_config import Cluster
from trainer.errors import ConfigError
from trainer.sections import Image
from trainer.training.distribution import connect
from trainer.training.draws import Draws
from trainer.training.state import State
from trainer.training.step import Stepper

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (40, 28, 28, 1), dtype=np.uint8)
SMALL = (
    "network.generator_units=[8]", "network.discriminator_units=[8]", "batch_size=8", "xla=off", "seed=3",
)  # fmt: skip


def augmented(images, numbers, p=1.0, seed=0):
    """Images [n, h, w, c] and what was done to them, by numbers of a seed."""
    count, height, width, channels = images.shape
    about, rng = AUGMENTATIONS[numbers.kind], np.random.default_rng(seed)
    image = Image.model_construct(height=height, width=width, channels=channels)
    uniform = rng.random((count, about.uniform), np.float32)
    normal = rng.standard_normal((count, about.normal), np.float32)
    done = augment.parameters(numbers, image, tf.constant(uniform), tf.constant(normal), tf.constant(p))
    return augment.applied(numbers, tf.constant(images), done).numpy(), uniform, normal


def pictures(channels=3, height=12, width=10, count=16):
    return np.random.default_rng(1).uniform(-1, 1, (count, height, width, channels)).astype(np.float32)


def by_hand(image, u):
    """DiffAugment of one image, pixel by pixel."""
    height, width, channels = image.shape
    colors = image[..., :3].astype(np.float64) + (u[0] - 0.5)
    grey = colors.mean(-1, keepdims=True)
    colors = (colors - grey) * 2 * u[1] + grey
    colors = (colors - colors.mean()) * (u[2] + 0.5) + colors.mean()
    image = np.concatenate([colors, image[..., 3:]], -1) if channels == 4 else colors
    most = [int(edge / 8 + 0.5) for edge in (height, width)]
    down, right = (int(np.floor(u[3 + i] * (2 * most[i] + 1))) - most[i] for i in range(2))
    moved = np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            if 0 <= y - down < height and 0 <= x - right < width:
                moved[y, x] = image[y - down, x - right]
    size = [int(edge / 2 + 0.5) for edge in (height, width)]
    at = [
        int(np.floor(u[5 + i] * (edge + 1 - size[i] % 2))) - size[i] // 2
        for i, edge in enumerate((height, width))
    ]
    moved[max(0, at[0]) : max(0, at[0] + size[0]), max(0, at[1]) : max(0, at[1] + size[1])] = 0
    return moved


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_diffaugment_is_its_papers_formula(channels):
    images = pictures(channels)
    found, uniform, _ = augmented(images, Augmentation(kind="diffaugment"))
    expected = np.stack([by_hand(*each) for each in zip(images, uniform, strict=True)])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    alone, *_ = augmented(images, Augmentation(kind="diffaugment", color=False, cutout=False))
    assert np.isin(alone, [*images.ravel(), 0]).all() and (alone == 0).mean() > 0.02


def read(image, y, x):
    """A pixel at a place between pixels, of the image mirrored at its edges."""
    height, width, _ = image.shape
    whole = np.pad(image.astype(np.float64), ((60, 60), (60, 60), (0, 0)), mode="reflect")
    assert -60 <= y < height + 59 and -60 <= x < width + 59
    top, left = int(np.floor(y)), int(np.floor(x))
    dy, dx = y - top, x - left
    a, b, c, d = (whole[60 + top + i, 60 + left + j] for i in (0, 1) for j in (0, 1))
    return (a * (1 - dx) + b * dx) * (1 - dy) + (c * (1 - dx) + d * dx) * dy


def test_an_affine_transformation_goes_back_to_where_each_pixel_comes_from():
    images, angle = pictures(2, 9, 7, 2), np.array([0.4, -1.1], np.float32)
    matrix = tf.matmul(
        geometry.rotation(tf.constant(angle)),
        tf.matmul(
            geometry.scaling(tf.constant([1.2, 0.8]), tf.constant([-0.9, 1.1])),
            geometry.translation(tf.constant([1.5, -0.3]), tf.constant([0.25, 2.0])),
        ),
    )
    found = geometry.transformed(tf.constant(images), matrix).numpy()
    for n, image in enumerate(images):
        cos, sin = np.cos(angle[n]), np.sin(angle[n])
        turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
        size = np.diag([[1.2, -0.9], [0.8, 1.1]][n] + [1.0])
        move = np.array([[1, 0, [1.5, -0.3][n]], [0, 1, [0.25, 2.0][n]], [0, 0, 1]])
        back = np.linalg.inv(move @ size @ turn)
        for y in range(9):
            for x in range(7):
                at = back @ [x - 3, y - 4, 1]
                np.testing.assert_allclose(found[n, y, x], read(image, at[1] + 4, at[0] + 3), atol=2e-4)


def test_flips_turns_and_shifts_move_pixels_and_blend_none():
    images = pictures(3, 8, 8)
    found, uniform, _ = augmented(images, Augmentation(kind="ada", geometry=False, color=False))
    for image, mine, u in zip(images, found, uniform, strict=True):
        image = image[:, ::-1] if u[1] >= 0.5 else image
        image = np.rot90(image, -int(4 * u[3]))  # clockwise, as the vertical axis points down
        right, down = (int(np.round((2 * u[i] - 1) * 0.125 * 8)) for i in (5, 6))
        padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="reflect")
        expected = padded[1 - down : 9 - down, 1 - right : 9 - right]
        np.testing.assert_array_equal(mine, expected)


def colored(pixel, u, n):
    """ADA's colours of one RGB pixel, one transformation after another; the paper's appendix B."""
    axis = np.ones(3) / np.sqrt(3)
    pixel = (pixel + 0.2 * n[4]) * 2 ** (0.5 * n[5])
    if u[17] >= 0.5:
        pixel = pixel - 2 * axis * (axis @ pixel)
    angle = np.pi * (2 * u[19] - 1)
    pixel = (
        pixel * np.cos(angle)
        + np.cross(axis, pixel) * np.sin(angle)
        + axis * (axis @ pixel) * (1 - np.cos(angle))
    )
    luma = axis * (axis @ pixel)
    return luma + (pixel - luma) * 2 ** n[6]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_adas_colours_are_one_matrix(channels):
    images = pictures(channels, 4, 5)
    found, uniform, normal = augmented(images, Augmentation(kind="ada", geometry=False, blitting=False))
    for image, mine, u, n in zip(images, found, uniform, normal, strict=True):
        rgb = np.repeat(image, 3, -1) if channels == 1 else image[..., :3]
        expected = np.array([[colored(pixel.astype(np.float64), u, n) for pixel in row] for row in rgb])
        expected = expected.mean(-1, keepdims=True) if channels == 1 else expected
        if channels == 4:
            expected = np.concatenate([expected, image[..., 3:]], -1)
        np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=1e-4)


def test_without_a_chance_ada_does_nothing_and_with_half_of_one_some():
    images = pictures(3, 12, 10, 64)
    for numbers in (Augmentation(kind="ada"), Augmentation(kind="ada", color=False)):
        assert augmented(images, numbers, p=0.0)[0] == pytest.approx(images, abs=1e-6)
    exact = augmented(images, Augmentation(kind="ada", color=False), p=0.0)[0]
    assert exact.tobytes() == images.tobytes()
    some = augmented(images, Augmentation(kind="ada", geometry=False, color=False), p=0.5)[0]
    same = (some == images).all((1, 2, 3)).mean()
    # Each of three is done with 1/2, and then does nothing with 1/2, 1/4 and about (1/3)^2.
    assert same == pytest.approx(0.75 * 0.625 * 0.55, abs=0.15)


@pytest.mark.parametrize("kind", [*AUGMENTATIONS])
def test_gradients_are_exact_the_first_and_the_second(kind):
    """Of a sum of squares of squares, against differences in doubles of the images."""
    images, rng = pictures(3, 8, 6, 2), np.random.default_rng(2)
    numbers, way = Augmentation(kind=kind), rng.standard_normal((2, 8, 6, 3)).astype(np.float32)

    @tf.function(autograph=False)
    def slopes(x):
        about = AUGMENTATIONS[kind]
        fixed = np.random.default_rng(0)
        uniform = tf.constant(fixed.random((2, about.uniform), np.float32))
        normal = tf.constant(fixed.standard_normal((2, about.normal), np.float32))
        done = augment.parameters(
            numbers, Image(height=8, width=6, channels=3), uniform, normal, tf.constant(0.9)
        )
        with tf.GradientTape() as second:
            second.watch(x)
            with tf.GradientTape() as first:
                first.watch(x)
                total = tf.reduce_sum(augment.applied(numbers, x, done) ** 3)
            slope = first.gradient(total, x)
            along = tf.reduce_sum(slope * way)
        return total, slope, second.gradient(along, x)

    _, slope, curve = slopes(tf.constant(images))
    step = 1e-2
    ahead, behind = (slopes(tf.constant(images + sign * step * way)) for sign in (1, -1))
    difference = (ahead[0] - behind[0]) / (2 * step)
    assert float(tf.reduce_sum(slope * way)) == pytest.approx(float(difference), rel=5e-2)
    turned = (ahead[1] - behind[1]) / (2 * step)  # exact, as the slope is a square
    np.testing.assert_allclose(curve, turned, rtol=1e-2, atol=1e-2 * float(np.abs(turned).max()))


def draws(step=0, replica=0, replicas=1, branches=(), p=0.5, sets=("augmentation.kind=ada",)):
    resolved = config.resolve("mlp", (*SMALL, *sets))
    return Draws(resolved, tf.constant(step, tf.int64), replica, replicas, branches, tf.constant(p))


def flat(noise):
    return np.concatenate([np.ravel(each) for each in tf.nest.flatten(noise)])


def test_each_player_kind_of_image_and_update_has_numbers_of_its_own():
    of = [draws(p=1.0).for_discriminator(0), draws(p=1.0).for_discriminator(1), draws(p=1.0).for_generator(0)]
    of += [draws(1, p=1.0).for_discriminator(0), draws(1, p=1.0, branches=(1,)).for_discriminator(0)]
    shown = [each[key] for each in of for key in ("augmented_real", "augmented_fake") if key in each]
    assert len(shown) == 9
    matrices = np.stack([np.ravel(each["geometry"]) for each in shown])
    assert len(np.unique(matrices, axis=0)) == 9
    before = draws(0, branches=(1,)).for_discriminator(0)
    assert flat(before).tobytes() == flat(draws(0).for_discriminator(0)).tobytes()
    both = draws(sets=("augmentation.kind=diffaugment", "loss=rpgan")).for_generator(0)
    assert both.keys() == {"augmented_real", "augmented_fake"}


@pytest.mark.parametrize("kind", [*AUGMENTATIONS])
def test_a_replicas_numbers_are_its_part_of_the_global_batchs(kind):
    sets = (f"augmentation.kind={kind}",)
    whole = draws(2, sets=sets).for_discriminator(0)
    parts = [draws(2, replica, 4, sets=sets).for_discriminator(0) for replica in range(4)]
    joined = tf.nest.map_structure(lambda *each: np.concatenate(each), *parts)
    assert flat(joined).tobytes() == flat(whole).tobytes()


def played(sets, steps=1, state=None):
    resolved = config.resolve("mlp", (*SMALL, *sets))
    strategy = connect(Cluster(), 10)
    if state is None:
        with strategy.scope():
            state = State(resolved)
    run = fed(Stepper(resolved, strategy, state, tf.constant(IMAGES)), resolved, 40)
    return resolved, state, run


def test_the_discriminator_is_shown_augmented_images_in_both_players_updates():
    """Its losses and R1 before the first update, and the generator's after it, of the networks themselves."""
    sets = ("augmentation.kind=diffaugment", "loss=lsgan", "regularizers.r1.weight=2")
    resolved, state, run = played((*sets, "optimizer.discriminator.learning_rate=1e-30"))
    generator, discriminator = state.networks
    fake = generator(randomness.noise(3, tf.constant(0, tf.int64), 8, 100)).numpy()
    found = run(0, 1).metrics
    of_d = draws(sets=sets).for_discriminator(0)
    of_g = draws(sets=sets).for_generator(0)
    numbers = resolved.augmentation
    real = tf.constant(np.float32(IMAGES[drawn(resolved, 40, 0, 1)[0]] / 127.5 - 1))
    real = augment.applied(numbers, real, of_d["augmented_real"])
    with tf.GradientTape() as tape:
        tape.watch(real)
        scores = discriminator(real)
    slopes = tape.gradient(scores, real).numpy().reshape(8, -1)
    of_fake = discriminator(augment.applied(numbers, fake, of_d["augmented_fake"])).numpy()
    again = discriminator(augment.applied(numbers, fake, of_g["augmented_fake"])).numpy()
    assert found["r1"] == pytest.approx((slopes**2).sum(1).mean(), rel=1e-4)
    assert found["d_loss_real"] == pytest.approx(0.5 * ((scores.numpy() - 1) ** 2).mean(), rel=1e-4)
    assert found["d_loss_fake"] == pytest.approx(0.5 * (of_fake**2).mean(), rel=1e-4)
    assert found["g_loss"] == pytest.approx(0.5 * ((again - 1) ** 2).mean(), rel=1e-4)


ADA = ("augmentation.kind=ada", "augmentation.p=0.5", "augmentation.every=2", "augmentation.images=320")
# One group of transformations each, as tracing all of them takes seconds.
COMPILED = ("xla=auto", "augmentation.geometry=false", "augmentation.color=false")
MUCH = (
    "packing=2",
    "d_repeats=2",
    "microbatch=4",
    "augmentation.geometry=false",
    "augmentation.blitting=false",
)


@pytest.mark.parametrize("more", [COMPILED, MUCH])
def test_p_follows_the_signs_of_real_scores(more):
    """Step by step, by the accuracies that the lines have; what is resumed in between is tests/laws'."""
    resolved, state, run = played((*ADA, *more))
    p, shares = np.float32(0.5), []
    for step in range(6):
        line = run(step, 1).metrics
        state.begin_line()
        assert line["augmentation_p"] == pytest.approx(p)
        shares.append(line["d_accuracy_real"])
        if step % 2:
            sign = np.sign(2 * np.mean(shares[-2:]) - 1 - 0.6)
            p = np.clip(p + sign * 2 * resolved.images_per_step / 320, 0, 1)
        assert float(state.adaptive.p) == pytest.approx(p)
    assert p != 0.5 and {"augmentation/p", "augmentation/right"} < state.variables().keys()


def test_p_that_is_fixed_is_no_state():
    fixed = ("augmentation.kind=ada", "augmentation.p=0.3", "augmentation.target=0", "loss=rpgan")
    state = State(config.resolve("mlp", (*SMALL, *fixed)))
    assert "augmentation_p" not in state.sums
    assert not any(name.startswith("augmentation/") for name in state.variables())


def test_a_flipped_set_is_mirrored_as_it_is_drawn():
    sets = ("data.flip=true", "optimizer.discriminator.learning_rate=1e-30", "loss=lsgan", "d_repeats=2")
    resolved, state, run = played(sets)
    found, flips = run(0, 1).metrics, [draws(sets=sets).flips(repeat).numpy() for repeat in range(2)]
    assert 0 < np.mean(flips) < 1 and not np.array_equal(*flips)
    real = np.float32(IMAGES[drawn(resolved, 40, 0, 1)[0]] / 127.5 - 1)
    real = np.where(np.concatenate(flips)[:, None, None, None], real[:, :, ::-1], real)
    scores = state.networks.discriminator(real).numpy()
    assert found["d_loss_real"] == pytest.approx(0.5 * ((scores - 1) ** 2).mean(), rel=1e-4)
    parts = [draws(1, replica, 2, sets=sets).flips(0) for replica in range(2)]
    assert np.array_equal(np.concatenate(parts), draws(1, sets=sets).flips(0))


def test_what_means_nothing_is_refused():
    for sets, words in (
        (("augmentation.kind=ada", "loss=rpgan"), ("kind is ada", "loss rpgan", "augmentation.target=0")),
        (("augmentation.p=0.5",), ("augmentation.p is 0.5", "expected 0", "kind none")),
        (("augmentation.kind=ada", "augmentation.target=0"), ("augmentation.p is 0", "expected more")),
        (
            (
                "augmentation.kind=diffaugment",
                *(f"augmentation.{x}=false" for x in ("color", "translation", "cutout")),
            ),
            ("augmentation.color is false", "one of color, translation, cutout"),
        ),
    ):
        with pytest.raises(ConfigError) as error:
            config.resolve("mlp", sets)
        assert all(word in str(error.value) for word in words), error.value

"""The table of figures: closed forms, second ways of computing, and how each behaves."""

from functools import partial

import numpy as np
import pytest

from trainer.errors import UserError
from trainer.evaluation import classes, figures, frechet, kernel, manifold, wasserstein
from trainer.evaluation.choosing import choose
from trainer.evaluation.features import NETWORKS, Seen

D = 6
DIGITS, NONE = NETWORKS["digits"], choose("none", (28, 28, 1))


def normal(count, seed=0, mean=0.0, scale=1.0, size=D):
    return mean + scale * np.random.RandomState(seed).standard_normal((count, size))


def seen(labels, features):
    shares = np.full((len(labels), 10), 0.05 / 9)
    shares[np.arange(len(labels)), labels] = 0.95
    return Seen(features, shares)


def images(count, seed, dropped=0, noise=0.0):
    """Ten classes of features, some of them left out, some noise in all."""
    labels = np.random.RandomState(seed).randint(dropped, 10, count)
    middle = 4 * np.random.RandomState(99).standard_normal((10, D))
    return seen(labels, middle[labels] + normal(count, seed + 1) + noise * normal(count, seed + 2))


def loops(one, other):
    """KID by loops over pairs, as the paper's lemma 6 writes it."""

    def k(x, y):
        return (x @ y / len(x) + 1) ** 3

    def within(rows):
        found = [k(x, y) for i, x in enumerate(rows) for j, y in enumerate(rows) if i != j]
        return sum(found) / len(found)

    return within(one) + within(other) - 2 * np.mean([k(x, y) for x in one for y in other])


def test_the_kernel_distance_is_that_of_loops_and_of_the_same_subsets():
    one, other = normal(20), normal(30, 1, 0.4, 1.3)
    assert kernel.discrepancy(one, other) == pytest.approx(loops(one, other), rel=1e-10)
    draws = np.random.RandomState(2020)
    of = [(draws.choice(20, 8, replace=False), draws.choice(30, 8, replace=False)) for _ in range(5)]
    expected = [loops(one[mine], other[yours]) for mine, yours in of]
    found = kernel.distance(one, other, 5, 8)
    assert found == pytest.approx((np.mean(expected), np.std(expected)), rel=1e-9)


def test_the_kernel_distance_of_gaussians_is_that_of_their_moments():
    # E (x y / d + 1)^3 of independent N(m, 1), N(n, 1) in each of d places, by the moments of x y / d.
    def expected(m, n):
        mean, square = m * n, (1 + m**2) * (1 + n**2)
        cube = (m**3 + 3 * m) * (n**3 + 3 * n)
        first = mean
        second = (square + (D - 1) * mean**2) / D
        third = (cube + 3 * (D - 1) * square * mean + (D - 1) * (D - 2) * mean**3) / D**2
        return 1 + 3 * first + 3 * second + third

    wanted = expected(0, 0) + expected(0.7, 0.7) - 2 * expected(0, 0.7)
    found = kernel.distance(normal(4000), normal(4000, 1, 0.7))
    assert abs(found.mean - wanted) < 3 * found.deviation / 10 + 0.1 * wanted and found.mean > 0.5 * wanted
    assert abs(kernel.distance(normal(4000), normal(4000, 2)).mean) < 0.02 * wanted


def brute(real, fake, k):
    """Density and coverage by loops, as the paper writes them."""
    radii = [sorted(np.linalg.norm(each - other) for other in real)[k] for each in real]
    inside = [[np.linalg.norm(x - y) < radius for y in fake] for x, radius in zip(real, radii, strict=True)]
    return np.sum(inside) / (k * len(fake)), np.any(inside, axis=1).mean()


@pytest.mark.parametrize(("shift", "scale", "k"), [(0, 1, 5), (1, 1, 5), (0, 0.3, 3), (0.5, 2, 1)])
def test_density_and_coverage_are_those_of_loops(shift, scale, k, monkeypatch):
    real, fake = normal(60, size=3), normal(40, 1, shift, scale, 3)
    monkeypatch.setattr(manifold, "_BLOCK", 7)
    assert manifold.overlap(real, fake, wider=k)[2:] == pytest.approx(brute(real, fake, k), rel=1e-12)


def test_the_score_is_1_of_a_single_class_and_as_many_as_classes_that_are_sure_and_even():
    one_hot = np.eye(10, dtype=np.float32)
    assert classes.score(one_hot[np.arange(500) % 10]) == pytest.approx(10)
    assert classes.score(one_hot[np.zeros(50, int)]) == pytest.approx(1)
    assert classes.score(np.full((50, 10), 0.1)) == pytest.approx(1)
    some = np.random.RandomState(0).dirichlet(np.ones(4), 30)
    apart = (some * (np.log(some) - np.log(some.mean(0)))).sum(1).mean()
    assert classes.score(some) == pytest.approx(np.exp(apart), rel=1e-12)


def stacks(triples):
    return np.eye(10)[np.asarray(triples)]


def test_modes_of_stacked_digits_and_their_divergence_in_closed_form():
    every = np.array(list(np.ndindex(10, 10, 10)))
    assert classes.modes(stacks(every)) == (1000, pytest.approx(0, abs=1e-12))
    assert classes.modes(stacks(every[:1].repeat(9, 0))) == (1, pytest.approx(np.log(1000)))
    assert classes.modes(stacks([*every[:250], *every[:250]])) == (250, pytest.approx(np.log(4)))
    perfect = every[np.random.RandomState(0).randint(0, 1000, 26_000)]
    found = classes.modes(stacks(perfect))
    assert found.seen == 1000 and found.divergence == pytest.approx(999 / 2 / 26_000, rel=0.1)  # 0.019


def test_the_sliced_distance_is_that_of_sorted_numbers():
    one = np.random.RandomState(0).standard_normal((50_000, 2))
    shifted = one[::-1] + np.array([3.0, -1.0])
    assert wasserstein.sliced(one, shifted) == pytest.approx(2.0, rel=1e-9)  # |3| and |-1|
    wide = 2 * np.random.RandomState(1).standard_normal((50_000, 2))  # W1 of N(0, 1), N(0, 4): sqrt(2 / pi)
    assert wasserstein.sliced(one, wide) == pytest.approx(np.sqrt(2 / np.pi), rel=0.02)
    with pytest.raises(ValueError, match="7 rows against 50000"):
        wasserstein.sliced(one[:7], one)


def test_a_projection_keeps_the_scale_of_the_distance():
    one = normal(1000, size=600)
    other = one + np.random.RandomState(1).standard_normal(600)  # moved, and nothing else
    wanted = frechet.distance(*(frechet.fit(rows) for rows in (one, other)))
    found = frechet.distance(*(frechet.fit(frechet.projected(rows)) for rows in (one, other)))
    assert wanted > 500 and found == pytest.approx(wanted, rel=0.3)
    np.testing.assert_allclose(frechet.projected(one[:5]), frechet.projected(one)[:5], rtol=1e-9)


EVERY = [metric for metric, about in figures.METRICS.items() if about.needs in DIGITS.gives]
RISING = ("fd", "kid")


@pytest.fixture
def few_subsets(monkeypatch):
    """A tenth of KID's, of which 100 take a second."""
    monkeypatch.setattr(figures.kernel, "distance", partial(kernel.distance, subsets=10))


def test_distances_rise_and_overlaps_fall_with_every_class_that_is_dropped(few_subsets):
    real = images(600, 0)
    found = [figures.measured(real, images(600, 5, dropped), EVERY) for dropped in (0, 2, 5, 8)]
    for metric in RISING:
        values = [each[metric] for each in found]
        assert values == sorted(values) and values[1] > 3 * abs(values[0])
    for metric in ("recall", "coverage", "balance", "classes", "score"):
        values = [each[metric] for each in found]
        assert values == sorted(values, reverse=True) and values[3] < 0.8 * values[0]


def test_distances_rise_and_overlaps_fall_with_noise(few_subsets):
    real = images(600, 0)
    found = [figures.measured(real, images(600, 5, noise=noise), EVERY) for noise in (0, 1, 2, 5)]
    for metric in RISING:
        values = [each[metric] for each in found]
        assert values[1:] == sorted(values[1:]) and values[3] > 3 * max(values[0], values[1])
    for metric in ("precision", "density", "coverage"):
        values = [each[metric] for each in found]
        assert values == sorted(values, reverse=True) and values[3] < 0.5 * values[0]


def test_identical_sets_are_at_0_and_each_others_whole():
    real = images(600, 0)
    found = figures.measured(real, real, EVERY)
    assert abs(found["fd"]) < 1e-6 and abs(found["kid"]) < 3 * found["kid_deviation"]
    assert (found["precision"], found["recall"], found["coverage"], found["balance"]) == (1, 1, 1, 1)
    assert found["density"] == pytest.approx(1, abs=0.2)
    assert list(found) == EVERY and {*figures.of_training("fd", DIGITS, 600)} < {*EVERY}
    assert "score" in EVERY


def test_which_figures_go_with_which_network():
    assert figures.chosen((), DIGITS, 100) == tuple(
        metric for metric in EVERY if metric not in ("fd128", "score")
    )
    assert figures.chosen((), NONE, 100) == ("sw",)
    assert figures.chosen(("kid", "fd", "kid"), DIGITS, 100) == ("kid", "kid_deviation", "fd")
    lite0 = NETWORKS["lite0"]
    assert "fd" in figures.chosen((), lite0, 1281) and "fd128" in figures.chosen((), lite0, 1280)
    assert figures.chosen((), NETWORKS["stacked"], 500)[-2:] == ("modes", "kl")


@pytest.mark.parametrize(
    ("asked", "network", "said"),
    [
        ("fid", DIGITS, "^--metric fid: is not known, expected some of fd, fd128, kid, "),
        ("fd", NONE, "needs features, which laplacian 28-14-7 does not give, expected some of sw$"),
        ("modes", DIGITS, "needs stacks, which digits@1b34 does not give"),
        ("classes", NETWORKS["lite0"], "needs classes, which lite0@64,sha256:5793 does not give"),
    ],
)
def test_a_figure_that_does_not_go_with_the_network_is_refused(asked, network, said):
    with pytest.raises(UserError, match=said):
        figures.chosen((asked,), network, 100)


def test_too_few_images_are_refused_with_both_numbers():
    lite0 = NETWORKS["lite0"]
    with pytest.raises(
        UserError, match=r"^s: expected more than the 1280 .*; --metric fd128 or kid takes fewer"
    ):
        figures.check_count("s:", 1280, ("fd",), lite0)
    with pytest.raises(UserError, match=r"^s: expected more than 128 images for --metric fd128"):
        figures.check_count("s:", 128, ("kid", "fd128"), lite0)
    figures.check_count("s:", 129, ("kid", "fd128"), lite0)
    assert (figures.least(("fd",), lite0), figures.least(("kid", "fd128"), lite0)) == (1281, 129)


def test_names_say_the_network_the_setting_and_the_count():
    assert figures.name("fd", DIGITS, 10_000) == "FD[digits@1b34, N=10000]"
    assert figures.name("kid", DIGITS, 9) == "KID[digits@1b34, 100 subsets of up to 1000, N=9]"
    lite0 = NETWORKS["lite0"]._replace(side=96)
    assert figures.name("fd128", lite0, 949) == "FD[lite0@96,sha256:5793, projected to 128, N=949]"
    assert figures.name("sw", NONE, 7) == "sliced W1[laplacian 28-14-7, grey levels, N=7]"
    stacked = choose("digits", (28, 28, 3))
    assert figures.name("modes", stacked, 26_000) == "modes[digits@1b34 of each channel, N=26000]"


@pytest.mark.parametrize(
    ("wanted", "shape", "said"),
    [
        ("inception", (28, 28, 1), "--features inception: is not known, expected digits, lite0, "),
        ("digits", (64, 64, 3), "--features digits: images are 64x64x3, expected 28x28x1"),
        ("lite0@9", (64, 64, 3), "--features lite0@9: expected lite0@SIDE with pixels from 32 to 512"),
        ("lite0@x", (64, 64, 3), "--features lite0@x: expected lite0@SIDE"),
        (
            "gone.keras",
            (64, 64, 3),
            "--features gone.keras: there is no network, expected a file that ends in",
        ),
    ],
)
def test_networks_that_are_not_there_are_refused(wanted, shape, said):
    with pytest.raises(UserError, match=said):
        choose(wanted, shape)
    with pytest.raises(UserError, match=r"--layer x: is for a network of your own"):
        choose("digits", (28, 28, 1), "x")

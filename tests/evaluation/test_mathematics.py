"""The figures' arithmetic, against closed forms and against a second way of computing them."""

import numpy as np
import pytest

from trainer.errors import UserError
from trainer.evaluation import copies, frechet, manifold
from trainer.evaluation.classes import classes

D = 8


def normal(count, seed=0, mean=0.0, scale=1.0):
    return mean + scale * np.random.RandomState(seed).standard_normal((count, D))


def gaussian(mean, covariance):
    return frechet.Gaussian(0, np.asarray(mean, float), np.asarray(covariance, float))


def fd(one, other):
    return frechet.distance(frechet.fit(one), frechet.fit(other))


def test_the_distance_of_gaussians_that_commute_is_that_of_their_means_and_deviations():
    one, other = np.arange(1.0, D + 1), np.linspace(0.5, 3, D)
    found = frechet.distance(gaussian(np.zeros(D), np.diag(one)), gaussian(np.full(D, 2.0), np.diag(other)))
    assert found == pytest.approx(4 * D + ((np.sqrt(one) - np.sqrt(other)) ** 2).sum(), rel=1e-12)


def test_the_distance_of_plane_gaussians_is_that_of_the_determinant():
    # tr of the root of a 2x2 matrix M with positive eigenvalues is sqrt(tr M + 2 sqrt(det M)).
    one, other = np.array([[2.0, 0.7], [0.7, 1.0]]), np.array([[1.0, -0.4], [-0.4, 3.0]])
    product = one @ other
    root = np.sqrt(np.trace(product) + 2 * np.sqrt(np.linalg.det(product)))
    expected = 0.25 + np.trace(one) + np.trace(other) - 2 * root
    found = frechet.distance(gaussian([0, 0], one), gaussian([0.5, 0], other))
    assert found == pytest.approx(expected, rel=1e-12)


def test_it_is_that_of_the_roots_of_the_product_and_symmetric():
    one = normal(300) @ np.random.RandomState(1).standard_normal((D, D))
    other = normal(200, 2, 0.3)
    first, second = frechet.fit(one), frechet.fit(other)
    roots = np.sqrt(np.linalg.eigvals(first.covariance @ second.covariance).astype(complex)).sum().real
    traces = np.trace(first.covariance) + np.trace(second.covariance)
    expected = ((first.mean - second.mean) ** 2).sum() + traces - 2 * roots
    assert frechet.distance(first, second) == pytest.approx(expected, rel=1e-9)
    assert frechet.distance(second, first) == pytest.approx(expected, rel=1e-9)


def test_a_fit_is_numpys_mean_and_covariance_over_many_blocks():
    rows = normal(3 * frechet._BLOCK + 5, mean=100.0).astype(np.float32)
    fitted = frechet.fit(rows)
    np.testing.assert_allclose(fitted.mean, rows.astype(float).mean(0), rtol=1e-12)
    np.testing.assert_allclose(fitted.covariance, np.cov(rows.astype(float).T), rtol=1e-9, atol=1e-12)


def test_identical_sets_are_at_0_in_any_order_even_with_a_feature_that_never_moves():
    rows = normal(500)
    rows[:, 3] = 1.0  # the root of a rounding error is 1e-8
    shuffled = rows[np.random.RandomState(3).permutation(500)]
    assert abs(fd(rows, rows)) < 1e-6
    assert abs(fd(rows, shuffled)) < 1e-6


def test_it_rises_with_noise_and_with_what_is_left_out():
    rows = normal(1000)
    rows[:500, 0] += 6  # two classes
    noisy = [fd(rows, rows + normal(1000, 5, scale=scale)) for scale in (0.1, 0.3, 1.0)]
    assert 0 < noisy[0] < noisy[1] < noisy[2]
    dropped = [fd(rows, rows[start:]) for start in (100, 250, 400)]
    assert 0 < dropped[0] < dropped[1] < dropped[2]


def test_as_many_images_as_features_are_refused_and_both_are_named():
    with pytest.raises(UserError, match=rf"{D} images: expected more than the {D} features"):
        frechet.fit(normal(D))
    frechet.fit(normal(D + 1))


def brute(real, fake, k):
    """Precision and recall by loops, as the paper writes them."""

    def inside(point, centres):
        for place, centre in enumerate(centres):
            others = [np.linalg.norm(centre - each) for j, each in enumerate(centres) if j != place]
            if np.linalg.norm(point - centre) <= sorted(others)[k - 1]:
                return True
        return False

    precision = sum(inside(each, real) for each in fake) / len(fake)
    return precision, sum(inside(each, fake) for each in real) / len(real)


@pytest.mark.parametrize(
    ("shift", "scale", "k"), [(0, 1, 3), (1, 1, 3), (0, 0.3, 3), (1, 0.5, 1), (0.5, 2, 5)]
)
def test_precision_and_recall_are_those_of_loops(shift, scale, k):
    real, fake = normal(60)[:, :3], normal(40, 1, shift, scale)[:, :3]
    found = manifold.overlap(real, fake, k)
    assert found[:2] == brute(real, fake, k)
    assert 0 < found.precision + found.recall < 2


def test_precision_and_recall_in_blocks_in_any_order_and_of_the_same_set(monkeypatch):
    real, fake = normal(300), normal(200, 1, 0.2, 0.8)
    whole = manifold.overlap(real, fake)
    monkeypatch.setattr(manifold, "_BLOCK", 7)
    assert manifold.overlap(real, fake) == whole
    assert manifold.overlap(real[::-1], fake[np.random.RandomState(0).permutation(200)]) == whole
    assert manifold.overlap(real, real)[:2] == (1.0, 1.0)


def test_a_class_left_out_costs_recall_and_noise_costs_precision():
    real, more = normal(400), normal(400, 1)
    real[:200, 0] += 30
    more[:200, 0] += 30
    same = manifold.overlap(real, more)
    half = manifold.overlap(real, more[:200])
    noisy = manifold.overlap(real, more + normal(400, 2, scale=3))
    assert half.recall < 0.6 * same.recall and half.precision > 0.9 * same.precision
    assert noisy.precision < 0.5 * same.precision


def probabilities(labels, sure=0.95, of=5):
    found = np.full((len(labels), of), (1 - sure) / (of - 1), np.float32)
    found[np.arange(len(labels)), labels] = sure
    return found


def test_classes_seen_their_balance_and_how_sure():
    real = probabilities(np.arange(1000) % 4)  # a fifth class is in no image
    same = classes(real, real)
    assert same == (4, 4, 1.0, 1.0)
    few = np.repeat([0, 1, 2, 3], [600, 375, 24, 1])  # of 250 each, 25 are a tenth
    found = classes(real, probabilities(few, sure=0.8))
    assert (found.seen, found.of, found.sure) == (2, 4, 0.0)
    assert found.balance == pytest.approx(1 - (0.35 + 0.125 + 0.226 + 0.249) / 2)


def test_the_nearest_is_that_of_loops_and_0_of_a_copy():
    draws = np.random.RandomState(0)
    training = draws.randint(0, 256, (50, 6, 5, 1)).astype(np.uint8)
    images = draws.randint(0, 256, (9, 6, 5, 1)).astype(np.uint8)
    images[4] = training[17]
    found = copies.neighbours(images, (training[start : start + 8] for start in range(0, 50, 8)))
    apart = images[:, np.newaxis].astype(float) - training
    expected = np.sqrt((apart**2).mean(axis=(2, 3, 4)).min(axis=1))
    np.testing.assert_allclose(found.distances, expected, rtol=1e-12)
    assert found.distances[4] == 0.0 and found.places[4] == 17
    assert (apart[np.arange(9), found.places] ** 2).mean(axis=(1, 2, 3)) == pytest.approx(expected**2)

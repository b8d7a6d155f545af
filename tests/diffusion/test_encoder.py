"""Codes: what goes in comes out, and codes have the scale that a diffusion expects."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skgdpd.diffusion import AutoEncoder, principal_encoder, standardising_encoder


def features(n=50, d=4, seed=0):
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(d, d)) * np.geomspace(0.1, 10, d)
    return torch.tensor(rng.normal(size=(n, d)) @ mixing + 5 * rng.normal(size=d))


def covariance(u):
    return np.cov(u.numpy().T, bias=True).reshape(u.shape[1], u.shape[1])


@settings(deadline=None, max_examples=20)
@given(n=st.integers(2, 40), d=st.integers(1, 8), seed=st.integers(0, 10_000))
def test_decoding_undoes_standardising(n, d, seed):
    z = features(n, d, seed)
    code = standardising_encoder(z)
    u = code.encode(z)
    torch.testing.assert_close(code.decode(u), z)
    np.testing.assert_allclose(u.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(u.std(0, correction=0), 1, rtol=1e-9)
    # ... for features that it has not seen, too.
    fresh = features(5, d, seed + 1)
    torch.testing.assert_close(code.decode(code.encode(fresh)), fresh)


def test_constant_features_keep_their_scale():
    z = features()
    z[:, 2] = 7.0
    code = standardising_encoder(z)
    assert torch.equal(code.encode(z)[:, 2], torch.zeros(50).double())
    moved = z.clone()
    moved[:, 2] = 7.5
    torch.testing.assert_close(code.encode(moved)[:, 2], torch.full((50,), 0.5).double())


@pytest.mark.parametrize("make", [standardising_encoder, lambda z: principal_encoder(z, None)])
@pytest.mark.parametrize("scale", [2.0**-100, 2.0**100])
def test_codes_do_not_depend_on_the_unit_of_the_features(make, scale):
    z = torch.tensor(np.random.default_rng(0).normal(size=(20, 3)) + 1)
    codes = make(scale * z).encode(scale * z)
    torch.testing.assert_close(codes.abs(), make(z).encode(z).abs())


def test_a_single_row_can_be_coded():
    z = features(1)
    for code in (standardising_encoder(z), principal_encoder(z, None)):
        torch.testing.assert_close(code.decode(code.encode(z)), z)


@settings(deadline=None, max_examples=20)
@given(n=st.integers(12, 40), d=st.integers(1, 8), seed=st.integers(0, 10_000))
def test_principal_components_are_white_and_uncorrelated(n, d, seed):
    z = features(n, d, seed)
    for n_codes in (1, d):
        u = principal_encoder(z, n_codes).encode(z)
        assert u.shape == (n, n_codes)
        np.testing.assert_allclose(u.mean(0), 0, atol=1e-8)
        np.testing.assert_allclose(covariance(u), np.eye(n_codes), atol=1e-6)


def test_all_principal_components_lose_nothing():
    z = features()
    code = principal_encoder(z, 4)
    torch.testing.assert_close(code.decode(code.encode(z)), z)
    fresh = features(seed=1)
    torch.testing.assert_close(code.decode(code.encode(fresh)), fresh)


@pytest.mark.parametrize("n_codes", [1, 2, 3])
def test_fewer_principal_components_lose_the_variance_of_those_left_out(n_codes):
    z = features()
    code = principal_encoder(z, n_codes)
    u = code.encode(z)
    restored = code.decode(u)
    lost = np.linalg.eigvalsh(covariance(z))[: 4 - n_codes].sum()
    assert (z - restored).square().sum(1).mean() == pytest.approx(lost)
    # A projection: coding what was restored changes nothing more.
    torch.testing.assert_close(code.encode(restored), u)


@pytest.mark.parametrize("kept", [0.5, 0.9, 0.99, 0.999999])
def test_as_many_principal_components_as_keep_the_wanted_variance(kept):
    z = features(200, 10)
    spectrum = np.sort(np.linalg.eigvalsh(covariance(z)))[::-1]
    share = spectrum.cumsum() / spectrum.sum()
    n_codes = len(principal_encoder(z, None, kept).W)
    assert share[n_codes - 1] >= kept
    assert n_codes == 1 or share[n_codes - 2] < kept


def test_there_are_no_more_principal_components_than_the_rank():
    z = features(50, 4)
    doubled = torch.cat([z, z], 1)
    assert len(principal_encoder(doubled, 8).W) == 4
    assert len(principal_encoder(features(3, 4), 4).W) == 2


def test_codes_keep_single_precision():
    z = features().float()
    for code in (standardising_encoder(z), principal_encoder(z, None)):
        assert code.encode(z).dtype == torch.float32


def test_many_draws_are_decoded_at_once():
    code = principal_encoder(features(), 2)
    u = torch.randn(3, 5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(code.decode(u)[1], code.decode(u[1]))


@pytest.mark.parametrize("n_codes", [2, 4, 6])
def test_the_autoencoder_as_a_code_is_the_module_in_eval_mode(n_codes):
    generator = torch.Generator().manual_seed(0)
    model = AutoEncoder(4, n_codes).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    z = features()
    offset, scale = z.mean(0), z.std()
    model.train()
    for part in z.split(10):  # running statistics that are not those of all rows
        model((part - offset) / scale)
    model.eval()
    with torch.no_grad():
        u, reconstruction = model((z - offset) / scale)
    code = model.as_encoder(offset, scale)
    torch.testing.assert_close(code.encode(z), u)
    torch.testing.assert_close(code.decode(u), reconstruction * scale + offset)
    assert not any(value.requires_grad for value in code.state_dict(keep_vars=True).values())


def test_the_code_of_an_autoencoder_is_a_copy():
    model = AutoEncoder(4, 2).double().eval()
    z = features()
    code = model.as_encoder(torch.zeros(4).double(), torch.ones(()).double())
    before = code.decode(code.encode(z))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    assert torch.equal(code.decode(code.encode(z)), before)

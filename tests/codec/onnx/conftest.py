"""The bundled models as ONNX folders, exported once a session: it takes a minute."""

import pytest

from codec import load_model


def exported(tmp_path_factory, name, **options):
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    from codec.onnx.export import export

    folder = tmp_path_factory.mktemp(name)
    export(load_model(name), folder, **options)
    return folder


@pytest.fixture(scope="session")
def folder_24khz(tmp_path_factory):
    return exported(tmp_path_factory, "encodec_24khz_tiny", stream=True, int_codes=True)


@pytest.fixture(scope="session")
def folder_48khz(tmp_path_factory):
    return exported(tmp_path_factory, "encodec_48khz_tiny")

"""Make the example model file anew, with the predictions that it must give.

Run ``python tests/make_model_file.py`` after a change of the format and commit what it writes to
``tests/data``. Before the first release the files of the one format are replaced; afterwards the
command is run after ``FORMAT_VERSION`` was raised, and files of older versions stay.
"""

import json
from pathlib import Path

import numpy as np

from skgdpd import DiffusionFeaturePrior, GDPDClassifier
from skgdpd._persistence.archive import FORMAT_VERSION
from skgdpd.datasets import make_bumps

MODEL = Path(__file__).parent / "data" / f"model-format-{FORMAT_VERSION}.zip"
EXPECTED = MODEL.with_suffix(".json")


def main():
    X, y = make_bumps(60, 40, noise=0.3, random_state=0)
    prior = DiffusionFeaturePrior("gmm", n_diffusion_steps=20)
    model = GDPDClassifier(
        "lstm1-8", student="lstm1-8", prior=prior, earliness=0.5, max_epochs=10, random_state=0,
        device="cpu",
    ).fit(X, np.array(["no", "yes"])[y])  # fmt: skip
    model.save(MODEL, include=("teacher", "prior"))
    X = X[:5].astype(float).round(2)
    features = model.teacher_.embed(X)
    expected = {
        "X": X,
        "classes": model.classes_,
        "proba": model.predict_proba(X),
        "teacher_features": features,
        "teacher_proba": model.teacher_.predict_proba(X),
        "prior_codes": model.prior_.encode(features),
    }
    lists = {name: np.asarray(values).tolist() for name, values in expected.items()}
    EXPECTED.write_text(json.dumps(lists) + "\n")


if __name__ == "__main__":
    main()

"""
The posterior of a diffusion prior
==================================

A diffusion prior draws features of the whole series, given its first part. The draws lie in the
space of a teacher's features. They are widely spread when little has been seen, and closer
together when more has been seen.
"""

# %%
# Teacher and students
# --------------------
# There is one teacher of whole series, and three students of first parts.
import matplotlib.pyplot as plt

from skgdpd import DiffusionFeaturePrior, GDPDClassifier, PrefixClassifier
from skgdpd.datasets import make_bumps
from skgdpd.plotting import FeatureSpaceDisplay, PosteriorDisplay

X, y = make_bumps(400, 60, noise=0.7, random_state=0)
X_new, y_new = make_bumps(100, 60, noise=0.7, random_state=1)
teacher = PrefixClassifier("lstm1-8", earliness=1.0, max_epochs=40, random_state=0).fit(X, y)
levels = [0.4, 0.75, 0.9]
students = [
    PrefixClassifier("lstm1-8", earliness=part, max_epochs=40, random_state=0).fit(X, y)
    for part in levels
]
print("teacher:", teacher.score(X_new, y_new))
for part, student in zip(levels, students, strict=True):
    print(f"student of the first {part:.0%}: {student.score(X_new, y_new):.2f}")

# %%
# Priors
# ------
# Each student has a prior. It learns how the teacher's features are distributed, and from pairs
# how a student's features depend on them. Two principal components are kept for the picture.
priors = [
    DiffusionFeaturePrior(encoder="pca", n_latent=2, max_epochs=150, random_state=0).fit(
        teacher.embed(X), y, student.embed(X)
    )
    for student in students
]

# %%
# The picture shows draws for one new series, of which 40, 75 and 90 % are seen.
one = X_new[:1]
fig, axes = plt.subplots(1, 3, figsize=(9, 3.4), sharex=True, sharey=True, layout="constrained")
for ax, part, student, prior in zip(axes, levels, students, priors, strict=True):
    cloud = prior.encode(teacher.embed(X))
    draws = prior.posterior_sample(student.embed(one), n_samples=200)[0]
    truth = prior.encode(teacher.embed(one))[0]
    for label, marker in [(0, "o"), (1, "^")]:
        ax.plot(*cloud[y == label].T, marker, color="0.8", markersize=4)
    ax.plot(*draws.T, ".", color="#0072B2", markersize=4, label="draws")
    ax.plot(*truth, "*", color="#D55E00", markersize=14, label="true feature")
    ax.set(title=f"{part:.0%} seen", xlabel="first component")
    print(f"{part:.0%} seen: deviation of the draws {draws.std(0).mean():.2f}")
axes[0].set_ylabel("second component")
axes[0].legend(frameon=False)

# %%
# The teacher's features of the training series are grey, with a marker for each class. The
# deviation of the draws shrinks over all new series as well. The mean of a classifier over the
# draws gives probabilities that are less certain when less has been seen.
for part, student, prior in zip(levels, students, priors, strict=True):
    draws = prior.posterior_sample(student.embed(X_new))
    sure = prior.predict_proba(student.embed(X_new)).max(1)
    print(
        f"{part:.0%} seen: deviation {draws.std(1).mean():.2f}, mean certainty {sure.mean():.2f}"
    )

# %%
# Displays of a fitted classifier
# -------------------------------
# A ``GDPDClassifier`` has teacher, prior and student in one. ``PosteriorDisplay`` shows the draws
# for one series, along the first component of the teacher's features. Their spread falls.
taught = [
    GDPDClassifier(
        "lstm1-8",
        student="lstm1-8",
        prior=DiffusionFeaturePrior(encoder="pca", n_latent=3, max_epochs=150),
        earliness=part,
        max_epochs=40,
        random_state=0,
    ).fit(X, y)
    for part in levels
]
display = PosteriorDisplay.from_estimators(taught, X_new)

# %%
# ``FeatureSpaceDisplay`` shows the features of many series in one plane: the teacher's features of
# whole series, the student's features of first parts, and the draws. Arrows lead from the
# student's features to the means of their draws.
display = FeatureSpaceDisplay.from_estimator(taught[1], X_new[:40], y_new[:40])

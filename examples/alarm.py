"""
Early failure detection from a stream of sensors
================================================

New machines run on a test bench for up to sixty hours. Some have a bad bearing. This example is
early classification with a stopping rule: the rule decides when to raise the alarm, and when a
good machine has passed the test. A missed failure costs more than a false alarm.
"""

# %%
# Data
# ----
# Each machine has two sensors, which are read once an hour. Bearings run in at some hour. The
# vibration of a good bearing then falls. That of a bad bearing rises, with a little heat. Changes
# of load look the same for a few hours, so that a first rise or fall is weak evidence. Two
# machines in five have a bad bearing.
import matplotlib.pyplot as plt
import numpy as np

from skgdpd import EarlyClassifier
from skgdpd.plotting import CostDisplay, DecisionDisplay, PathDisplay

HOURS = 60


def make_machines(n, seed):
    rng = np.random.default_rng(seed)
    hour = np.arange(HOURS)
    bad = rng.random(n) < 0.4
    turn = rng.uniform(2, 30, size=(n, 1))
    trend = np.where(bad[:, None], 0.5, -0.3) * np.tanh(np.clip(hour - turn, 0, None) / 8)
    start, length = rng.uniform(0, HOURS, size=(2, n, 1)), rng.uniform(2, 8, size=(2, n, 1))
    loads = rng.uniform(-0.3, 0.3, size=(2, n, 1)) * ((hour >= start) & (hour < start + length))
    vibration = 1 + trend + loads.sum(0) + 0.1 * rng.normal(size=(n, HOURS))
    warm = 60 - 10 * np.exp(-hour / 6) + rng.normal(size=(n, 1))
    temperature = warm + 4 * np.clip(trend, 0, None) + rng.normal(size=(n, HOURS))
    return np.stack([vibration, temperature], axis=1), np.where(bad, "failing", "fine")


X, y = make_machines(400, seed=0)
X_new, y_new = make_machines(1000, seed=1)
hours = np.arange(1, HOURS + 1)
fig, axes = plt.subplots(2, sharex=True, layout="constrained")
for label, color, style in [("fine", "#0072B2", "-"), ("failing", "#D55E00", "--")]:
    for channel, ax in enumerate(axes):
        lines = ax.plot(hours, X[y == label][:3, channel].T, style, color=color, linewidth=1)
        lines[0].set_label(label)
axes[0].set_ylabel("vibration (mm/s)")
axes[1].set(xlabel="hour", ylabel="temperature (°C)")
legend = axes[0].legend(loc="upper left", fontsize="small", framealpha=1)

# %%
# Costs of errors and of waiting
# ------------------------------
# The unit of cost is a false alarm, after which a good machine is opened. A failing machine that
# leaves the factory costs as much as 20 false alarms. Sixty hours on the bench cost half of a
# false alarm. A prediction is possible every six hours.
costs = {"misclassification_cost": {"failing": 20}, "delay_cost": 0.5}
times = list(range(6, HOURS + 1, 6))
early = EarlyClassifier(earliness=times, **costs, random_state=0).fit(X, y)
print("chosen:", early.rule_)
for name, (mean, error) in early.rule_table_.items():
    print(f"{name:>13}: {mean:.3f} ± {error:.3f} on left-out machines")

# %%
# ``fit`` trained one classifier for all moments. It then chose the stopping rule with the least
# cost. The choice uses probabilities of machines from models that had not seen them. The baseline
# is a fixed hour for all machines, chosen on the same data. Both are applied to a thousand new
# machines.
fixed = EarlyClassifier(earliness=times, rule="fixed", **costs, random_state=0).fit(X, y)
methods = {"stopping rule": early, "fixed hour": fixed}
for name, method in methods.items():
    answers = method.decide(X_new, y_new)
    missed = ((answers.labels == "fine") & (y_new == "failing")).sum()
    false = ((answers.labels == "failing") & (y_new == "fine")).sum()
    error = answers.cost.std() / np.sqrt(len(y_new))
    print(
        f"{name}: cost {answers.cost.mean():.3f} ± {error:.3f}, {answers.n_seen.mean():.0f} "
        f"hours, {missed} missed, {false} false alarms"
    )

# %%
# One missed failure adds 0.02 to the mean cost of a thousand machines. To avoid rare and expensive
# errors, a rule needs many examples of them. With 300 machines to learn from, a quarter of them
# bad, the chosen rule cost less than the fixed hour in three of four draws. In the fourth it
# missed five failures, and cost more.
#
# These machines are simulated, and their parameters were chosen so that a stopping rule pays. On
# your data, compare with a fixed moment before you trust a rule. If failures are rarer,
# :doc:`imbalanced classes </howto-imbalanced>` has class weights and thresholds.
#
# Probabilities over time
# -----------------------
# The picture has a line for each kind of machine, and a band for the middle half of that kind.
display = PathDisplay.from_estimator(early, X_new, y_new, by_class=True)

# %%
# Streaming
# ---------
# Six machines are on the bench. A session reads their sensors hour by hour. It returns an answer
# as soon as the stopping rule has seen enough.
bench = {f"machine {i}": series for i, series in enumerate(X_new[:6], start=1)}
session = early.start(bench)
for hour in range(HOURS):
    readings = {machine: series[:, hour] for machine, series in bench.items()}
    for answer in session.push(readings, time=hour + 1):
        what = "ALARM" if answer.label == "failing" else "may go"
        p = answer.probabilities[0]
        print(f"hour {answer.time:.0f}: {answer.id} {what}, probability of a failure {p:.3f}")

# %%
# With these costs, the threshold for an alarm is low: a machine that fails with a probability
# above 1/21 is not worth the risk.
#
# The picture shows the earliest alarm for a machine that was failing. The star is the answer.
# Points to the right of it were not used.
answers = early.decide(X_new, y_new)
right = np.flatnonzero((answers.labels == "failing") & (y_new == "failing"))
first = right[answers.n_seen[right].argmin()]
n_seen = answers.n_seen[first]
fig, (above, below) = plt.subplots(2, sharex=True, figsize=(6.4, 5.6), layout="constrained")
above.plot(hours, X_new[first, 0], color="0.7", linewidth=1)
above.plot(hours[:n_seen], X_new[first, 0, :n_seen], color="black", linewidth=1)
above.set_ylabel("vibration (mm/s)")
display = DecisionDisplay.from_estimator(early, X_new[first], y_new[first], ax=below)
display.ax_.set_xlabel("hours seen")

# %%
# Other costs of waiting
# ----------------------
# If the costs change, the classifier stays the same, and only the stopping rule is chosen again
# for each cost of waiting. The dotted line is the a-posteriori optimum: the cost if each machine
# were answered at its cheapest moment, chosen with its label.
display = CostDisplay.from_estimators(methods, X_new, y_new, delay_costs=[0.1, 0.25, 0.5, 1, 2])

# %%
# If waiting is cheap, the fixed hour is as good. If it is expensive, both raise the alarm for
# every machine as early as possible. Few answers are then right, but errors that cost 1 are
# cheaper than hours. The second view shows the accuracy.
display = display.plot(kind="accuracy")

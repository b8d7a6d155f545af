"""Series of a stream divided among processes, one of which is killed and goes on from its file.

The same driver is used with processes and with ray's actors. A worker is anything with ``push``,
``save`` and ``progress``, and the driver is told when it has died.
"""

import zlib
from collections import defaultdict

from skgdpd import load


class Worker:
    """A session of one process, which goes on from its file if there is one."""

    def __init__(self, model, path):
        early = load(model)
        self.path = path
        self.session = early.resume(path) if path.exists() else early.start(join=True)

    def push(self, points):
        """Read points; return the answers that they led to."""
        return [plain(d.id, d.label, d.probabilities) for d in self.session.push(points)]

    def progress(self):
        """Return the number of points of each series that waits, and the answers so far."""
        session = self.session
        n_read, found = {}, []
        state = zip(
            session.ids, session.decided, session.n_seen, session.labels, session.probabilities,
            strict=True,
        )  # fmt: skip
        for id_, decided, n, label, probabilities in state:
            if decided:
                found.append(plain(id_, label, probabilities))
            else:
                n_read[id_] = int(n)
        return n_read, found

    def save(self):
        """Save the session."""
        self.session.save(self.path)


def plain(id_, label, probabilities):
    """Return an answer as plain objects."""
    return id_, int(label), tuple(probabilities.tolist())


class Died(Exception):
    """Death of a worker."""


def drive(start, X, names, cuts, save_after, kill_after):
    """Send series to four workers by their ids; return the answers of each series.

    Parameters
    ----------
    start : callable
        Function of a worker's number that starts it, anew or from its file. The worker has
        ``call(method, *arguments)``, which raises ``Died``, and ``kill()``.
    X : ndarray of shape (n, 1, n_timepoints)
        Series.
    names : list of str
        Ids.
    cuts : list of int
        First points of the pushes.
    save_after, kill_after : int
        Pushes after which all sessions are saved, and the first worker is killed.

    Returns
    -------
    answers : dict of str to list
        Each answer that differs from the others of its series.
    n_deaths : int
        Number of deaths that were noticed.
    """
    groups = defaultdict(list)
    for i, name in enumerate(names):
        groups[zlib.crc32(name.encode()) % 4].append(i)  # hash() differs between processes
    workers = {number: start(number) for number in groups}
    answers, n_deaths = defaultdict(list), 0

    def note(found):
        for name, *answer in found:
            if answer not in answers[name]:  # one that came before comes again with the same bits
                answers[name].append(answer)

    for step, (first, last) in enumerate(zip(cuts, [*cuts[1:], X.shape[2]], strict=True)):
        for number, rows in groups.items():
            points = {names[i]: X[i, :, first:last] for i in rows}
            try:
                note(workers[number].call("push", points))
            except Died:
                n_deaths += 1
                workers[number] = start(number)
                n_read, found = workers[number].call("progress")
                note(found)
                done = {name for name, *_ in found}
                missed = {
                    names[i]: X[i, :, n_read.get(names[i], 0) : last]
                    for i in rows
                    if names[i] not in done
                }
                note(workers[number].call("push", missed))
        if step == save_after:
            for worker in workers.values():
                worker.call("save")
        if step == kill_after:
            workers[0].kill()
    for worker in workers.values():
        worker.kill()
    return answers, n_deaths

"""Times of requests: their summary, and which points are sent."""

import numpy as np
import pytest

from serving import Sensors, summary, write_service


def test_a_summary_has_quantiles_in_milliseconds_and_the_rate_of_the_whole_time():
    times = np.array([0.001] * 99 + [0.101])
    found = summary(times, 2.0)
    assert found["p50_ms"] == pytest.approx(1)
    assert found["p99_ms"] == pytest.approx(2)  # a hundredth of the way from 1 to 101 ms
    assert found["calls_per_second"] == 50


def test_a_series_is_sent_point_by_point_until_its_answer():
    sent = []

    def push(id_, points):
        sent.append((id_, points))
        return "answer" if len(sent) == 2 else None

    X = np.arange(6.0).reshape(2, 1, 3)
    sensors = Sensors(X, "s", push)
    for i in range(4):
        sensors(i)
    assert sent == [("s-0", [[0.0]]), ("s-0", [[1.0]]), ("s-1", [[3.0]]), ("s-1", [[4.0]])]


def test_the_file_of_the_page_has_no_session_of_python(tmp_path):
    text = write_service(tmp_path).read_text()
    assert "class Service" in text
    assert "def application" in text
    assert ">>>" not in text

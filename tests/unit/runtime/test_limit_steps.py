from servekit.runtime.limit_steps import Steps


def climb(steps: Steps, limit: int, times: int) -> list[int]:
    limits: list[int] = []
    for _ in range(times):
        limit = steps.next_from(limit)
        steps.accept()
        limits.append(limit)
    return limits


def test_steps_that_pay_double_the_limit() -> None:
    assert climb(Steps(1, 64), 1, 7) == [2, 4, 8, 16, 32, 64, 64]


def test_a_step_that_does_not_pay_is_followed_by_one_the_other_way() -> None:
    steps = Steps(1, 64)

    steps.refuse(16)

    assert steps.next_from(16) == 8


def test_steps_become_finer_when_neither_way_pays() -> None:
    steps = Steps(1, 64)

    for _ in range(2):
        steps.refuse(16)

    assert steps.next_from(16) == 23


def test_fine_steps_become_coarser_again_when_they_pay_twice() -> None:
    steps = Steps(1, 64)
    for _ in range(4):
        steps.refuse(16)

    assert climb(steps, 16, 3) == [19, 23, 33]


def test_when_the_finest_steps_do_not_pay_it_rests() -> None:
    steps = Steps(1, 64)
    while not steps.is_resting:
        steps.refuse(16)

    assert abs(steps.next_from(16) - 16) > 1


def test_rests_become_longer_up_to_a_bound() -> None:
    steps = Steps(1, 64)
    rests: list[int] = []
    for _ in range(5):
        steps.settle()
        rests.append(0)
        while steps.is_resting:
            steps.rest()
            rests[-1] += 1

    assert rests == [4, 8, 16, 16, 16]


def test_a_step_that_is_lost_in_noise_is_tried_larger() -> None:
    steps = Steps(1, 64)
    for _ in range(2):
        steps.refuse(16)

    steps.leave_open()

    assert steps.next_from(16) == 8


def test_a_new_model_is_searched_at_once_and_with_large_steps() -> None:
    steps = Steps(1, 64)
    steps.settle()

    steps.restart(upwards=False)

    assert not steps.is_resting
    assert steps.next_from(16) == 8


def test_at_a_bound_there_is_no_step() -> None:
    assert Steps(1, 64).next_from(64) == 64

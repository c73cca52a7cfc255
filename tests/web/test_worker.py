import asyncio
import threading

import pytest
from starlette.exceptions import HTTPException

from myna.errors import UserError
from myna.web.worker import Worker


async def _here() -> bool:
    return False


async def _gone() -> bool:
    return True


@pytest.fixture
def gate():
    """Holds up answers until it is set."""
    gate = threading.Event()
    yield gate
    gate.set()


def test_answers_come_in_the_order_of_the_questions_one_at_a_time():
    running, most, order = 0, 0, []

    def answer(number):
        nonlocal running, most
        running += 1
        most = max(most, running)
        order.append(number)
        running -= 1
        return number

    async def ask_all():
        worker = Worker("tests", object)
        questions = [worker.ask(lambda model, number=number: answer(number), _here) for number in range(20)]
        return await asyncio.gather(*questions)

    assert asyncio.run(ask_all()) == list(range(20))
    assert order == list(range(20))
    assert most == 1


def test_the_model_is_loaded_once_and_by_the_thread_that_answers():
    threads = []

    def load():
        threads.append(threading.current_thread())
        return "model"

    async def ask_twice():
        worker = Worker("tests", load)
        assert worker.state == "loading"
        assert worker.model is None
        answers = [await worker.ask(lambda model: (model, threading.current_thread()), _here) for _ in range(2)]
        assert worker.state == "ready"
        assert worker.model == "model"
        return answers

    answers = asyncio.run(ask_twice())
    assert len(threads) == 1
    assert answers == [("model", threads[0])] * 2


@pytest.mark.parametrize(("error", "told"), [(UserError("no weights"), "no weights"), (KeyError("x"), "KeyError: 'x'")])
def test_a_model_that_cannot_be_loaded_is_told_to_all_who_ask(error, told):
    def load():
        raise error

    async def ask():
        worker = Worker("tests", load)
        for _ in range(2):
            with pytest.raises(HTTPException) as refused:
                await worker.ask(lambda model: model, _here)
            assert refused.value.status_code == 503
            assert refused.value.detail == f"The model for tests could not be loaded: {told}" == worker.reason
        assert worker.state == "failed"
        assert worker.model is None

    asyncio.run(ask())


def test_an_answer_over_time_is_given_up_and_nobody_waits_behind_it(gate):
    async def ask():
        worker = Worker("tests", object, time_limit=0.05)
        slow = asyncio.create_task(worker.ask(lambda model: gate.wait(20), _here))
        behind = [asyncio.create_task(worker.ask(lambda model: "late", _here)) for _ in range(3)]
        refused = await asyncio.gather(slow, *behind, return_exceptions=True)
        assert [each.status_code for each in refused] == [503] * 4
        assert refused[0].detail == "The answer took longer than 0.05 seconds and was given up."
        assert {each.detail for each in refused[1:]} == {
            "An earlier question is taking too long. Please ask again in a minute."
        }
        gate.set()
        await asyncio.wait({worker._running})
        worker.time_limit = 20
        return await worker.ask(lambda model: "in time", _here)

    assert asyncio.run(ask()) == "in time"


def test_more_questions_than_may_wait_are_refused_and_the_others_are_answered(gate):
    async def ask():
        worker = Worker("tests", object, max_waiting=3)
        waiting = [asyncio.create_task(worker.ask(lambda model: gate.wait(20), _here)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(HTTPException) as refused:
            await worker.ask(lambda model: True, _here)
        assert refused.value.status_code == 429
        assert refused.value.headers == {"Retry-After": "60"}
        gate.set()
        assert await asyncio.gather(*waiting) == [True] * 3
        assert await worker.ask(lambda model: "again", _here) == "again"

    asyncio.run(ask())


def test_nothing_is_worked_on_for_one_who_is_gone():
    asked = []

    async def ask():
        worker = Worker("tests", object)
        with pytest.raises(HTTPException):
            await worker.ask(asked.append, _gone)
        await worker.ask(asked.append, _here)

    asyncio.run(ask())
    assert len(asked) == 1


def test_an_error_of_an_answer_is_the_askers_and_harms_no_other():
    async def ask():
        worker = Worker("tests", object)
        with pytest.raises(ZeroDivisionError):
            await worker.ask(lambda model: 1 / 0, _here)
        return await worker.ask(lambda model: 1, _here)

    assert asyncio.run(ask()) == 1

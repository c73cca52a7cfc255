"""What is told of a solved word problem: the schema that the command line and the web page share. No torch in here."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Number(BaseModel):
    """A number of the problem."""

    name: str = Field(description="what programs call it: n0, n1, ...")
    value: float


class Step(BaseModel):
    """A step of the program, run."""

    name: str = Field(description="what later steps call it: #0, #1, ...")
    operation: str
    arguments: list[str] = Field(description="as the program writes them: n0, #1, const_100")
    values: list[float | None] = Field(description="of the arguments; null where JSON has no such number")
    sentence: str = Field(description="the step in words and numbers, such as 'add 3 and 5'")
    result: float | None = Field(description="null where the step gave no real number that JSON can hold")
    result_text: str = Field(description="the result as it is shown, such as '8' or '0.333333'")


class Candidate(BaseModel):
    """One of the programs that the beam kept, or that a near training problem has."""

    program: str
    probability: float = Field(
        description="of the whole program, in the model's view; in its verifier's, where it has one"
    )
    answer: float | None
    answer_text: str = Field(description="as it is shown; why there is none, where there is none")


class Nearest(BaseModel):
    """The most similar training problem, where one is close."""

    text: str = Field(description="the training problem, its numbers masked")
    program: str
    likeness: float = Field(description="cosine of TF-IDF vectors, 0 to 1; 1 if it reads the same but for the numbers")
    answer: float | None = Field(description="of that program, run on this problem's numbers")
    agrees: bool = Field(description="whether that is the answer given")


class Attention(BaseModel):
    """What the model attended to while it wrote each token of the program."""

    words: list[str] = Field(description="S, of the problem, numbers masked, and of what else the model sees")
    tokens: list[str] = Field(description="T, of the program, its end included")
    weights: list[list[float]] = Field(description="T rows of S; each sums to 1")


class Solution(BaseModel):
    """A word problem, answered with reasons; or the reason why it is not."""

    problem: str
    model: str = Field(description="name of the model that was asked")
    answer: float | None
    answer_text: str = Field(description="as it is shown; empty where there is no answer")
    message: str = Field(description="why there is no answer; empty where there is one")
    program: str
    numbers: list[Number]
    steps: list[Step]
    certainty: float | None = Field(
        description="share of right answers among those of which the model was as sure, on dev; null where not known"
    )
    certainty_text: str = Field(description="the same in a sentence")
    candidates: list[Candidate] = Field(
        description="best first: by the verifier, else by probability per token, so that a likelier one may come later"
    )
    nearest: Nearest | None
    notes: list[str] = Field(description="what a reader should know: numbers in words that were not read, and the like")
    attention: Attention | None

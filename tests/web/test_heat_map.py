from myna.mathqa.solution import Attention
from myna.web.heat_map import CELL, lay_out


def test_squares_stand_in_the_row_of_their_token_and_the_column_of_their_word():
    attention = Attention(words=["3", "and", "5"], tokens=["add", "n0"], weights=[[0.5, 0.0, 0.5], [0.8, 0.2, 0.0]])
    heat_map = lay_out(attention)
    columns = [round((square.x - heat_map.left) / CELL) for square in heat_map.squares]
    rows = [round((square.y - heat_map.top) / CELL) for square in heat_map.squares]
    assert list(zip(rows, columns, strict=True)) == [(0, 0), (0, 2), (1, 0), (1, 1)]
    assert [square.share for square in heat_map.squares] == [0.625, 0.625, 1.0, 0.25]
    assert heat_map.squares[0].label == "add looked at 3: 50 %"
    assert [look.words for look in heat_map.looks] == [[("3", 0.5), ("5", 0.5)], [("3", 0.8), ("and", 0.2)]]
    assert all(s.x + CELL <= heat_map.width and s.y + CELL <= heat_map.height for s in heat_map.squares)


def test_nothing_is_laid_out_without_a_fault():
    assert lay_out(Attention(words=[], tokens=[], weights=[])).squares == []

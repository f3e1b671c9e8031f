"""Tables of results are read only if they are the ones that were written."""

import hashlib
import json

import numpy as np
import pytest

from companion.results import ResultsError, arrays, experiments, settings, table

CONTENT = b"n,seed,F3A.positive,note\n1000,0,0.48,None\n1000,1,NaN,x\n"


def write(folder, content=CONTENT, provenance=None):
    (folder / "results").mkdir()
    (folder / "results" / "a.csv").write_bytes(content)
    files = {"a.csv": hashlib.sha256(CONTENT).hexdigest()}
    (folder / "results" / "a.json").write_text(json.dumps(provenance or {"provenance": {"files": files}}))
    return folder / "book"


def test_a_table_is_read_with_its_types(tmp_path):
    found = table("a", book=write(tmp_path))
    assert found["n"].tolist() == [1000, 1000] and found["note"].tolist() == ["None", "x"]
    assert found["F3A.positive"][0] == 0.48 and found["F3A.positive"].isna().tolist() == [False, True]


def test_settings_are_what_the_networks_have_in_common(tmp_path):
    text = (
        "seed,n,decays,activation,slope,trained,arrangement,inhibitory,loss,T,lr,stop_loss,sampler,note\n"
        '0,1000,"[0.8, 0.75]",relu,50.0,"[""W""]",all,0.0,proxy,3,0.1,0.0,sobol,x\n'
        '1,1000,"[0.8, 0.75]",relu,50.0,"[""W""]",all,0.0,proxy,3,0.2,0.0,sobol,x\n'
    )
    files = {"a.csv": hashlib.sha256(text.encode()).hexdigest()}
    book = write(tmp_path, text.encode(), {"provenance": {"files": files}})
    common = {"seeds": 2, "n": 1000, "decays": [0.8, 0.75], "activation": "relu", "trained": ["W"]}
    common |= {"loss": "proxy", "sampler": "sobol", "experiment": "a"}
    runs = table("a", book=book)
    assert settings(runs) == common
    assert settings(runs.iloc[:1]) == common | {"seeds": 1, "lr": 0.1}
    shaped = runs.assign(activation="sigmoid", loss="batch", arrangement="same", inhibitory=0.25, stop_loss=1e-8)
    said = settings(shaped)
    assert said["slope"] == 50.0 and said["T"] == 3 and said["arrangement"] == "same"
    assert said["inhibitory"] == 0.25 and said["stop_loss"] == 1e-8


def test_experiments_that_are_there(tmp_path):
    assert experiments(book=tmp_path / "book") == []
    assert experiments(book=write(tmp_path)) == ["a"]


def test_a_changed_table_is_refused(tmp_path):
    with pytest.raises(ResultsError, match="results/a.csv is not what its provenance describes"):
        table("a", book=write(tmp_path, CONTENT.replace(b"0.48", b"0.49")))


def test_a_missing_table_is_named_and_so_are_the_others(tmp_path):
    with pytest.raises(ResultsError, match=r"expected results/b.csv and its provenance.*there are a$"):
        table("b", book=write(tmp_path))


@pytest.mark.parametrize("provenance", [[], {"provenance": {}}, {"provenance": None}, {"files": {}}])
def test_a_provenance_of_another_kind_is_refused(provenance, tmp_path):
    with pytest.raises(ResultsError, match="expected results/a.csv and its provenance"):
        table("a", book=write(tmp_path, provenance=provenance or [1]))


def test_arrays_are_read_if_they_are_the_ones_that_were_written(tmp_path):
    book = write(tmp_path)
    path = tmp_path / "results" / "a.npz"
    np.savez(path, losses=np.arange(6).reshape(2, 3))
    files = {"a.npz": hashlib.sha256(path.read_bytes()).hexdigest()}
    (tmp_path / "results" / "a.json").write_text(json.dumps({"provenance": {"files": files}}))
    found = arrays("a", book=book)
    assert list(found) == ["losses"] and found["losses"].tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(ResultsError, match=r"expected results/b.npz and its provenance.*there are a$"):
        arrays("b", book=book)
    np.savez(path, losses=np.zeros(6))
    with pytest.raises(ResultsError, match="results/a.npz is not what its provenance describes"):
        arrays("a", book=book)

"""Names of months in eight languages, without accents: only those that mean one month whatever the language."""

_NAMES = """
january jan januar janvier enero gennaio janeiro januari января ene gen
february feb februar fevrier febrero febbraio fevereiro februari февраля
march mar marz mars marzo marco maart марта mrz
april apr avril abril aprile апреля abr
may mai mayo maggio maio mei мая
june jun juni juin junio giugno junho июня
july jul juli juillet julio luglio julho июля
august aug aout agosto augustus августа ago
september sep sept septembre septiembre settembre setembro сентября
october oct oktober okt octobre octubre ottobre outubro октября
november nov novembre noviembre novembro ноября
december dec dezember dez decembre diciembre dicembre dezembro декабря
"""

MONTHS = {name: number for number, line in enumerate(_NAMES.split("\n")[1:13], 1) for name in line.split()}
"""Name -> 1 … 12."""

"""Columns and conditions that only training tasks use: more of geography and demography than the published list asks.

A policy that has copied fourteen columns knows fourteen columns; held-out tasks ask for others. So training asks for
many more fields of the families it may use, some of which state several years or numbers in millions, and none of the
fields that are kept for development and test.
"""

from services.suites.measures import AGE, RATE, SHARE, SIZE, Measure, levels

TABLE = """
demography | practice | text | Nationality adjective | such as Dutch | People and Society > Nationality > adjective
demography | practice | count | Male population | number of male inhabitants | People and Society > Population > male
demography | practice | count | Female population | number of female inhabitants | People and Society > Population > female
demography | practice | part | Age 0-14 | people of 0-14 years, in percent | People and Society > Age structure > 0-14 years
demography | practice | part | Age 15-64 | people of 15-64 years, in percent | People and Society > Age structure > 15-64 years
demography | practice | part | Age 65 and over | people of 65 years and over, in percent | People and Society > Age structure > 65 years and over
demography | practice | ratio | Total dependency | total dependency ratio | People and Society > Dependency ratios > total dependency ratio
demography | practice | ratio | Youth dependency | youth dependency ratio | People and Society > Dependency ratios > youth dependency ratio
demography | practice | ratio | Elderly dependency | elderly dependency ratio | People and Society > Dependency ratios > elderly dependency ratio
demography | practice | ratio | Support ratio | potential support ratio | People and Society > Dependency ratios > potential support ratio
demography | practice | years | Male median age | in years | People and Society > Median age > male
demography | practice | years | Female median age | in years | People and Society > Median age > female
demography | practice | percent | Population growth | population growth rate in percent | People and Society > Population growth rate
demography | practice | crude | Death rate | deaths per 1,000 population | People and Society > Death rate
demography | practice | migrants | Net migration | migrants per 1,000 population | People and Society > Net migration rate
demography | practice | yearly | Urbanization rate | annual rate of change in percent | People and Society > Urbanization > rate of urbanization
demography | practice | sexes | Sex ratio | males per female, total population | People and Society > Sex ratio > total population
demography | practice | maternal | Maternal mortality | ratio, in deaths per 100,000 live births | People and Society > Maternal mortality ratio
demography | practice | deaths | Male infant mortality | deaths per 1,000 live births | People and Society > Infant mortality rate > male
demography | practice | years | Male life expectancy | at birth, in years | People and Society > Life expectancy at birth > male
demography | practice | years | Female life expectancy | at birth, in years | People and Society > Life expectancy at birth > female
demography | practice | ratio | Reproduction rate | gross reproduction rate | People and Society > Gross reproduction rate
demography | practice | physicians | Physicians | physicians per 1,000 population | People and Society > Physician density
demography | practice | beds | Hospital beds | beds per 1,000 population | People and Society > Hospital bed density
demography | practice | percent | Adult obesity 2016 | obesity, adult prevalence in percent | People and Society > Obesity - adult prevalence rate
demography | practice | litres | Alcohol 2019 | consumption per capita in litres of pure alcohol | People and Society > Alcohol consumption per capita > total
demography | practice | litres | Beer 2019 | beer per capita in litres of pure alcohol | People and Society > Alcohol consumption per capita > beer
demography | practice | percent | Tobacco use | total, in percent | People and Society > Tobacco use > total
demography | practice | percent | Married women | currently married women of 15 to 49 years, in percent | People and Society > Currently married women (ages 15-49)
demography | practice | percent | Literacy | of the total population, in percent | People and Society > Literacy > total population
demography | practice | years | Schooling | school life expectancy in years | People and Society > School life expectancy (primary to tertiary education) > total
demography | practice | years | Age at first birth | mother's mean age in years | People and Society > Mother's mean age at first birth
geography | practice | area | Land area | in square kilometres | Geography > Area > land
geography | practice | area | Water area | in square kilometres | Geography > Area > water
geography | practice | peak | Lowest point | name of the lowest point | Geography > Elevation > lowest point
geography | practice | elevation | Lowest elevation | elevation of the lowest point in metres | Geography > Elevation > lowest point
geography | practice | metres | Mean elevation | in metres | Geography > Elevation > mean elevation
geography | practice | percent | Agricultural land | as a percentage of land use | Geography > Land use > agricultural land
geography | practice | arable | Arable land | as a percentage of land use | Geography > Land use > agricultural land: arable land
geography | practice | pasture | Pasture | permanent pasture as a percentage of land use | Geography > Land use > agricultural land: permanent pasture
geography | practice | percent | Other land | other land use in percent | Geography > Land use > other
geography | practice | area | Irrigated land | in square kilometres | Geography > Irrigated land
geography | practice | carbon | Total emissions | total carbon dioxide emissions in millions of metric tonnes | Environment > Carbon dioxide emissions > total emissions
geography | practice | carbon | Petroleum emissions | carbon dioxide emissions from petroleum, in millions of metric tonnes | Environment > Carbon dioxide emissions > from petroleum and other liquids
geography | practice | water | Water resources | total renewable water resources in billions of cubic metres | Environment > Total renewable water resources
geography | practice | withdrawal | Municipal water | municipal water withdrawal in millions of cubic metres | Environment > Total water withdrawal > municipal
geography | practice | withdrawal | Industrial water | industrial water withdrawal in millions of cubic metres | Environment > Total water withdrawal > industrial
geography | practice | tons | Solid waste | municipal solid waste generated annually, in tons | Environment > Waste and recycling > municipal solid waste generated annually
base | practice | power | Electricity consumption | in billions of kWh | Energy > Electricity > consumption
base | practice | capacity | Generating capacity | installed electricity generating capacity in kW | Energy > Electricity > installed generating capacity
base | practice | output | Military expenditures 2022 | military expenditures for 2022 in percent | Military and Security > Military expenditures > Military Expenditures 2022
base | practice | output | Military expenditures 2023 | military expenditures for 2023 in percent | Military and Security > Military expenditures > Military Expenditures 2023
base | practice | output | Military expenditures 2024 | military expenditures for 2024 in percent | Military and Security > Military expenditures > Military Expenditures 2024
geography | practice | miles | Territorial sea | in nautical miles | Geography > Maritime claims > territorial sea
"""  # noqa: E501  # one line a column: family, use, kind, heading, description, field

MEASURES: tuple[Measure, ...] = (
    Measure(
        "Death rate",
        AGE,
        levels("4 5 5.5 6 6.5 7 7.5 8 9 10 11 12 13"),
        ("have a death rate above {n} deaths per 1,000 population",),
        ("have a death rate below {n} deaths per 1,000 population",),
    ),
    Measure(
        "Population growth",
        SHARE,
        levels("0.2 0.5 0.8 1 1.5 2 2.2 2.5 2.8 3"),
        ("have a population growth rate above {n}%",),
        ("have a population growth rate below {n}%",),
    ),
    Measure(
        "Maternal mortality",
        RATE,
        levels("10 20 50 80 100 150 200 250 300 400 500 600"),
        ("have a maternal mortality ratio above {n} deaths per 100,000 live births",),
        ("have a maternal mortality ratio below {n} deaths per 100,000 live births",),
    ),
    Measure(
        "Physicians",
        RATE,
        levels("0.05 0.1 0.2 0.3 0.5 1 1.5 2 3 4 5"),
        ("have a physician density above {n} physicians per 1,000 population",),
        ("have a physician density below {n} physicians per 1,000 population",),
    ),
    Measure(
        "Agricultural land",
        RATE,
        levels("5 10 15 20 25 30 35 40 45 50 55 60 65 70"),
        ("have agricultural land on more than {n}% of their land",),
        ("have agricultural land on less than {n}% of their land",),
    ),
    Measure(
        "Irrigated land",
        SIZE,
        levels("10 50 100 200 300 500 1000 2000 3000 5000 10000"),
        ("have irrigated land of more than {n} square kilometres",),
        ("have irrigated land of less than {n} square kilometres",),
    ),
)

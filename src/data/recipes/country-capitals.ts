import type { Recipe } from "./recipe.ts";
import { choiceRow, oneOf, readerOf, shuffled } from "./recipe.ts";

/** Countries with one undisputed capital whose names differ, `country:capital`. */
const pairs = `
Afghanistan:Kabul, Albania:Tirana, Algeria:Algiers, Angola:Luanda, Argentina:Buenos Aires, Armenia:Yerevan,
Australia:Canberra, Austria:Vienna, Azerbaijan:Baku, the Bahamas:Nassau, Bahrain:Manama, Bangladesh:Dhaka,
Barbados:Bridgetown, Belarus:Minsk, Belgium:Brussels, Belize:Belmopan, Bhutan:Thimphu, Bosnia and Herzegovina:Sarajevo,
Botswana:Gaborone, Brazil:Brasília, Brunei:Bandar Seri Begawan, Bulgaria:Sofia, Burkina Faso:Ouagadougou,
Cambodia:Phnom Penh, Cameroon:Yaoundé, Canada:Ottawa, Cape Verde:Praia, the Central African Republic:Bangui,
Chad:N'Djamena, Chile:Santiago, China:Beijing, Colombia:Bogotá, Costa Rica:San José, Croatia:Zagreb, Cuba:Havana,
Cyprus:Nicosia, the Czech Republic:Prague, Denmark:Copenhagen, the Dominican Republic:Santo Domingo, Ecuador:Quito,
Egypt:Cairo, El Salvador:San Salvador, Eritrea:Asmara, Estonia:Tallinn, Ethiopia:Addis Ababa, Fiji:Suva,
Finland:Helsinki, France:Paris, Gabon:Libreville, the Gambia:Banjul, Georgia:Tbilisi, Germany:Berlin, Ghana:Accra,
Greece:Athens, Grenada:St. George's, Guinea:Conakry, Guinea-Bissau:Bissau, Guyana:Georgetown, Haiti:Port-au-Prince,
Honduras:Tegucigalpa, Hungary:Budapest, Iceland:Reykjavik, India:New Delhi, Indonesia:Jakarta, Iran:Tehran,
Iraq:Baghdad, Ireland:Dublin, Italy:Rome, Jamaica:Kingston, Japan:Tokyo, Jordan:Amman, Kenya:Nairobi, Kosovo:Pristina,
Kyrgyzstan:Bishkek, Laos:Vientiane, Latvia:Riga, Lebanon:Beirut, Lesotho:Maseru, Liberia:Monrovia, Libya:Tripoli,
Liechtenstein:Vaduz, Lithuania:Vilnius, Madagascar:Antananarivo, Malawi:Lilongwe, Malaysia:Kuala Lumpur, Maldives:Malé,
Mali:Bamako, Malta:Valletta, Mauritania:Nouakchott, Mauritius:Port Louis, Moldova:Chișinău, Mongolia:Ulaanbaatar,
Montenegro:Podgorica, Morocco:Rabat, Mozambique:Maputo, Namibia:Windhoek, Nepal:Kathmandu, the Netherlands:Amsterdam,
New Zealand:Wellington, Nicaragua:Managua, Niger:Niamey, Nigeria:Abuja, North Korea:Pyongyang, North Macedonia:Skopje,
Norway:Oslo, Oman:Muscat, Pakistan:Islamabad, Papua New Guinea:Port Moresby, Paraguay:Asunción, Peru:Lima,
the Philippines:Manila, Poland:Warsaw, Portugal:Lisbon, Qatar:Doha, Romania:Bucharest, Russia:Moscow, Rwanda:Kigali,
Saint Lucia:Castries, Samoa:Apia, Saudi Arabia:Riyadh, Senegal:Dakar, Serbia:Belgrade, Seychelles:Victoria,
Sierra Leone:Freetown, Slovakia:Bratislava, Slovenia:Ljubljana, the Solomon Islands:Honiara, Somalia:Mogadishu,
South Korea:Seoul, South Sudan:Juba, Spain:Madrid, Sudan:Khartoum, Suriname:Paramaribo, Sweden:Stockholm,
Switzerland:Bern, Syria:Damascus, Tajikistan:Dushanbe, Thailand:Bangkok, Togo:Lomé, Tonga:Nuku'alofa,
Trinidad and Tobago:Port of Spain, Tunisia:Tunis, Turkey:Ankara, Turkmenistan:Ashgabat, Uganda:Kampala, Ukraine:Kyiv,
the United Arab Emirates:Abu Dhabi, the United Kingdom:London, the United States:Washington, Uruguay:Montevideo,
Uzbekistan:Tashkent, Vanuatu:Port Vila, Venezuela:Caracas, Vietnam:Hanoi, Yemen:Sana'a, Zambia:Lusaka, Zimbabwe:Harare`
  .split(",")
  .map((pair) => {
    const [country = "", capital = ""] = pair.trim().split(":");
    return { country, capital };
  });

/** Rows to take examples from; all others are asked about. */
const examples = 40;

/** The capital of a country, to be said or to be chosen among those of three others. The names are this file's own. */
export const countryCapitals: Recipe = {
  name: "country-capitals",
  summary: "country → its capital, and 3 others to choose among; for testing, and examples before a question",
  task: "multiple-choice",
  make() {
    const reader = readerOf(23);
    const rows = shuffled(pairs, 23).map(({ country, capital }) => {
      const drawOther = (): string => oneOf(pairs, reader).capital;
      return { ...choiceRow(`the capital of ${country} is`, capital, drawOther, reader), country, capital };
    });
    return { train: rows.slice(0, examples), test: rows.slice(examples) };
  },
};

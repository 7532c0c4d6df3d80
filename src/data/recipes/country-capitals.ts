import type { Recipe } from "./recipe.ts";
import { choiceRow, oneOf, readerOf, shuffled } from "./recipe.ts";

/** Countries with one undisputed capital whose names differ: `country:capital`, further spellings of it behind `|`. */
const pairs = `
Afghanistan:Kabul; Albania:Tirana; Algeria:Algiers; Angola:Luanda; Antigua and Barbuda:St. John's|Saint John's;
Argentina:Buenos Aires; Armenia:Yerevan; Australia:Canberra; Austria:Vienna; Azerbaijan:Baku; the Bahamas:Nassau;
Bahrain:Manama; Bangladesh:Dhaka|Dacca; Barbados:Bridgetown; Belarus:Minsk; Belgium:Brussels; Belize:Belmopan;
Benin:Porto-Novo|Porto Novo; Bhutan:Thimphu; Bosnia and Herzegovina:Sarajevo; Botswana:Gaborone;
Brazil:Brasília|Brasilia; Brunei:Bandar Seri Begawan; Bulgaria:Sofia; Burkina Faso:Ouagadougou; Burundi:Gitega;
Cambodia:Phnom Penh; Cameroon:Yaoundé|Yaounde; Canada:Ottawa; Cape Verde:Praia; the Central African Republic:Bangui;
Chad:N'Djamena|Ndjamena; Chile:Santiago; China:Beijing; Colombia:Bogotá|Bogota; the Comoros:Moroni;
Costa Rica:San José|San Jose; Croatia:Zagreb; Cuba:Havana; Cyprus:Nicosia; the Czech Republic:Prague;
the Democratic Republic of the Congo:Kinshasa; Denmark:Copenhagen; Dominica:Roseau;
the Dominican Republic:Santo Domingo; East Timor:Dili; Ecuador:Quito; Egypt:Cairo; El Salvador:San Salvador;
Eritrea:Asmara; Estonia:Tallinn; Eswatini:Mbabane; Ethiopia:Addis Ababa; Fiji:Suva; Finland:Helsinki; France:Paris;
Gabon:Libreville; the Gambia:Banjul; Georgia:Tbilisi; Germany:Berlin; Ghana:Accra; Greece:Athens;
Grenada:St. George's|Saint George's; Guinea:Conakry; Guinea-Bissau:Bissau; Guyana:Georgetown;
Haiti:Port-au-Prince|Port au Prince; Honduras:Tegucigalpa; Hungary:Budapest; Iceland:Reykjavik|Reykjavík;
India:New Delhi; Indonesia:Jakarta; Iran:Tehran|Teheran; Iraq:Baghdad; Ireland:Dublin; Italy:Rome;
Ivory Coast:Yamoussoukro; Jamaica:Kingston; Japan:Tokyo; Jordan:Amman; Kazakhstan:Astana|Nur-Sultan; Kenya:Nairobi;
Kosovo:Pristina|Prishtina; Kyrgyzstan:Bishkek; Laos:Vientiane; Latvia:Riga; Lebanon:Beirut; Lesotho:Maseru;
Liberia:Monrovia; Libya:Tripoli; Liechtenstein:Vaduz; Lithuania:Vilnius; Madagascar:Antananarivo; Malawi:Lilongwe;
Malaysia:Kuala Lumpur; Maldives:Malé|Male; Mali:Bamako; Malta:Valletta; the Marshall Islands:Majuro;
Mauritania:Nouakchott; Mauritius:Port Louis; Micronesia:Palikir; Moldova:Chișinău|Chisinau;
Mongolia:Ulaanbaatar|Ulan Bator; Montenegro:Podgorica; Morocco:Rabat; Mozambique:Maputo;
Myanmar:Naypyidaw|Naypyitaw|Nay Pyi Taw; Namibia:Windhoek; Nepal:Kathmandu; the Netherlands:Amsterdam;
New Zealand:Wellington; Nicaragua:Managua; Niger:Niamey; Nigeria:Abuja; North Korea:Pyongyang; North Macedonia:Skopje;
Norway:Oslo; Oman:Muscat; Pakistan:Islamabad; Palau:Ngerulmud; Papua New Guinea:Port Moresby;
Paraguay:Asunción|Asuncion; Peru:Lima; the Philippines:Manila; Poland:Warsaw; Portugal:Lisbon; Qatar:Doha;
the Republic of the Congo:Brazzaville; Romania:Bucharest; Russia:Moscow; Rwanda:Kigali;
Saint Kitts and Nevis:Basseterre; Saint Lucia:Castries; Saint Vincent and the Grenadines:Kingstown; Samoa:Apia;
Saudi Arabia:Riyadh; Senegal:Dakar; Serbia:Belgrade; Seychelles:Victoria; Sierra Leone:Freetown; Slovakia:Bratislava;
Slovenia:Ljubljana; the Solomon Islands:Honiara; Somalia:Mogadishu; South Korea:Seoul; South Sudan:Juba; Spain:Madrid;
Sudan:Khartoum; Suriname:Paramaribo; Sweden:Stockholm; Switzerland:Bern|Berne; Syria:Damascus; Tajikistan:Dushanbe;
Tanzania:Dodoma; Thailand:Bangkok; Togo:Lomé|Lome; Tonga:Nuku'alofa; Trinidad and Tobago:Port of Spain; Tunisia:Tunis;
Turkey:Ankara; Turkmenistan:Ashgabat; Tuvalu:Funafuti; Uganda:Kampala; Ukraine:Kyiv|Kiev;
the United Arab Emirates:Abu Dhabi; the United Kingdom:London; the United States:Washington|Washington, D.C.;
Uruguay:Montevideo; Uzbekistan:Tashkent; Vanuatu:Port Vila; Venezuela:Caracas; Vietnam:Hanoi; Yemen:Sana'a|Sanaa;
Zambia:Lusaka; Zimbabwe:Harare`
  .split(";")
  .map((pair) => {
    const [country = "", spellings = ""] = pair.trim().split(":");
    const accepted = spellings.split("|");
    return { country, capital: accepted[0] ?? "", accepted };
  });

/**
 * The capital of a country, to be said or to be chosen among those of three others: for testing, with other countries as
 * examples. The names are this file's own.
 */
export const countryCapitals: Recipe = {
  name: "country-capitals",
  summary: "country → its capital, and 3 others to choose among; test only",
  task: "multiple-choice",
  make() {
    const reader = readerOf(23);
    const test = shuffled(pairs, 23).map(({ country, capital, accepted }) => {
      const drawOther = (): string => oneOf(pairs, reader).capital;
      return { ...choiceRow(`the capital of ${country} is`, capital, drawOther, reader), country, capital, accepted };
    });
    return { train: [], test };
  },
};

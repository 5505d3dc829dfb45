/**
 * HTTP dates (RFC 9110 5.6.7) from and to milliseconds since 1970. Arithmetic on days (Howard Hinnant's method), since
 * nothing here may look at the clock by accident.
 */

const DAYS = ['Thu', 'Fri', 'Sat', 'Sun', 'Mon', 'Tue', 'Wed'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const DAY_MS = 86_400_000;
/** Days of 400 years, after which the calendar repeats. */
const ERA_DAYS = 146_097;
/** From 0000-03-01, where a year ends with February, to 1970-01-01. */
const EPOCH_DAYS = 719_468;
/** `Sun, 06 Nov 1994 08:49:37 GMT` */
const LENGTH = 29;

/** IMF-fixdate; years 1970 to 9999. */
export function formatHttpDate(milliseconds: number): string {
  const days = Math.floor(milliseconds / DAY_MS);
  const seconds = Math.floor((milliseconds - days * DAY_MS) / 1_000);
  const shifted = days + EPOCH_DAYS;
  const era = Math.floor(shifted / ERA_DAYS);
  const dayOfEra = shifted - era * ERA_DAYS;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1_460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1;
  const month = shiftedMonth < 10 ? shiftedMonth + 2 : shiftedMonth - 10;
  const year = yearOfEra + era * 400 + (month < 2 ? 1 : 0);
  const time = [seconds / 3_600, (seconds / 60) % 60, seconds % 60].map(twoDigits).join(':');
  const weekday = DAYS[((days % 7) + 7) % 7];
  return `${weekday}, ${twoDigits(day)} ${MONTHS[month]} ${String(year).padStart(4, '0')} ${time} GMT`;
}

function twoDigits(value: number): string {
  return String(Math.floor(value)).padStart(2, '0');
}

/** Milliseconds, or undefined for what is no IMF-fixdate: the obsolete forms are of no use to a cache today. */
export function parseHttpDate(text: string): number | undefined {
  if (text.length !== LENGTH || !text.endsWith(' GMT')) {
    return undefined;
  }
  const day = numberAt(text, 5, 7);
  const month = MONTHS.indexOf(text.slice(8, 11));
  const year = numberAt(text, 12, 16);
  const time = [numberAt(text, 17, 19), numberAt(text, 20, 22), numberAt(text, 23, 25)];
  if (month < 0 || Number.isNaN(day + year + time[0]! + time[1]! + time[2]!)) {
    return undefined;
  }
  const milliseconds =
    daysOf(year, month, day) * DAY_MS + (time[0]! * 3_600 + time[1]! * 60 + time[2]!) * 1_000;
  // Every other part, and that the day exists, at once.
  return formatHttpDate(milliseconds) === text ? milliseconds : undefined;
}

function numberAt(text: string, start: number, end: number): number {
  const digits = text.slice(start, end);
  for (let i = 0; i < digits.length; i += 1) {
    if (digits.charCodeAt(i) < 0x30 || digits.charCodeAt(i) > 0x39) {
      return Number.NaN;
    }
  }
  return Number(digits);
}

function daysOf(year: number, month: number, day: number): number {
  const shiftedYear = month < 2 ? year - 1 : year;
  const era = Math.floor(shiftedYear / 400);
  const yearOfEra = shiftedYear - era * 400;
  const dayOfYear = Math.floor((153 * (month < 2 ? month + 10 : month - 2) + 2) / 5) + day - 1;
  const dayOfEra =
    yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * ERA_DAYS + dayOfEra - EPOCH_DAYS;
}

#!/usr/bin/perl
# The version of configure.ac is the first one of NEWS and of the Debian package, with the same date.
use v5.36;
use FindBin;
use lib $FindBin::Bin;
use Lint;
use Test::More;

my @DAYS   = qw(Sun Mon Tue Wed Thu Fri Sat);
my %MONTHS = do { my $n = 0; map { $_ => ++$n } qw(January February March April May June July August September October November December) };

# What is wrong with these three texts.
sub faults ($configure, $news, $changelog) {
    my @faults;
    my ($version) = $configure =~ /^AC_INIT\(\[docker-registry-server\], \[(\d+\.\d+\.\d+)\]\)$/m;
    return 'configure.ac has no version' if !defined $version;
    my ($of_news, $day, $month, $year) = $news =~ /^Version (\S+) \((\d+) (\w+) (\d{4})\)\n-+\n/m;
    my ($of_package, $weekday, $date) =
        $changelog =~ /\Adocker-registry-server \((\S+)\) \w+; urgency=\w+\n\n(?:  .*\n)+\n -- [^\n]*>  (\w{3}), (\d\d \w{3} \d{4}) \d\d:\d\d:\d\d \+0000\n/;
    push @faults, 'NEWS begins with no "Version V (DAY MONTH YEAR)"' if !defined $of_news;
    push @faults, 'contrib/debian/changelog begins with no entry'    if !defined $of_package;
    return @faults if @faults;
    push @faults, "NEWS begins with $of_news, configure.ac has $version"                        if $of_news ne $version;
    push @faults, "contrib/debian/changelog begins with $of_package, configure.ac has $version" if $of_package ne $version;
    push @faults, "NEWS has $day $month $year, contrib/debian/changelog $date"
        if $date ne sprintf '%02d %s %d', $day, substr($month, 0, 3), $year;
    push @faults, "$date is no $weekday" if ($DAYS[ weekday($year, $MONTHS{$month} // 1, $day) ] // '') ne $weekday;
    my @all    = $news =~ /^Version (\S+) \(/mg;
    my @sorted = sort { number($b) <=> number($a) } @all;
    push @faults, 'the versions of NEWS are not in their order' if "@all" ne "@sorted";
    return @faults;
}

sub number ($version) { return eval { my ($x, $y, $z) = split /\./, $version; $x * 1e6 + $y * 1e3 + $z } // 0 }

# 0: Sunday (Zeller's congruence).
sub weekday ($y, $m, $d) {
    ($y, $m) = ($y - 1, $m + 12) if $m < 3;
    return ($d + int(13 * ($m + 1) / 5) + $y + int($y / 4) - int($y / 100) + int($y / 400) + 6) % 7;
}

my @texts = map { slurp($_) } 'configure.ac', 'NEWS', 'contrib/debian/changelog';
none([ faults(@texts) ], 'configure.ac, NEWS and the Debian package have the same version');

# It can fail: each text with one thing changed.
for my $case (
    [ 0, sub { s/\[\d+\.\d+\.\d+\]/[99.0.0]/ },              'a new version in configure.ac alone' ],
    [ 1, sub { s/^Version \S+/Version 99.0.0/m },            '... in NEWS alone' ],
    [ 2, sub { s/\(\S+\)/(99.0.0)/ },                        '... in the Debian package alone' ],
    [ 2, sub { s/\A.*?\n(?=docker-registry-server)//s },     'a Debian package without its entry' ],
    [ 1, sub { s/^(Version \S+ \()\d+ /${1}99 /m },          'another day in NEWS' ],
    [ 2, sub { s/(>  )\w{3},/$1Xyz,/ },                      'a wrong day of the week' ],
    [ 1, sub { s/^Version \S+ \(.*\)$/To come/m },           'NEWS without a version' ],
    [ 1, sub { s/\n\z/\n\nVersion 99.0.0 (1 May 2026)\n--\n/ }, 'versions out of their order' ],
) {
    my ($i, $change, $name) = @$case;
    my @changed = @texts;
    $change->() for $changed[$i];
    isnt($changed[$i], $texts[$i], $name);
    isnt(scalar(my @found = faults(@changed)), 0, '... is found');
}
done_testing();

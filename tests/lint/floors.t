#!/usr/bin/perl
# A file includes only from its own floor and from the floors that it may use.
use v5.36;
use FindBin;
use lib $FindBin::Bin;
use Lint;
use Test::More;

my %may_use = (
    util     => [],
    storage  => ['util'],
    domain   => [ 'util', 'storage' ],
    protocol => [ 'util', 'domain' ],
    process  => [ 'util', 'storage', 'domain', 'protocol' ],
);

my @sources = files('src/*/*.c', 'src/*/*.h');
cmp_ok(scalar @sources, '>', 10, 'there are sources');
none([ grep { !m{^src/(\w+)/} || !$may_use{$1} } @sources ], 'each source is on a floor');
is_deeply([ files('src/*.c', 'src/*.h', 'src/*/*/*.c', 'src/*/*/*.h') ], [], 'and none beside or below one');

for my $floor (sort keys %may_use) {
    my %allowed = map { $_ => 1 } $floor, @{ $may_use{$floor} };
    my @bad;
    for my $file (grep { m{^src/$floor/} } @sources) {
        my $n = 0;
        for my $line (lines($file)) {
            $n++;
            my ($name) = $line =~ /^\s*#\s*include\s*"([^"]*)"/ or next;
            my ($from) = $name =~ m{^(\w+)/};
            push @bad, "$file:$n: $name" if !defined $from || !$allowed{$from} || $name =~ /\.c$/;
        }
    }
    none(\@bad, "$floor includes only from " . join(', ', sort keys %allowed));
}
done_testing();

#!/usr/bin/perl
# The manual of fsck has each kind of finding, and no other.
use v5.36;
use FindBin;
use lib $FindBin::Bin;
use Lint;
use Test::More;

my %kinds = (database => 1, unreadable => 1);
for my $file (files('src/domain/check/*.c')) {
    my $text = slurp($file);
    $kinds{$1} = 1 while $text =~ /(?:^    \{|struct check_finding\)\{\s*)"([a-z-]+)",/mg;
}
$kinds{'no-job'} = 1 if slurp('src/domain/check/check_kept.h') =~ /"no-job"/;
$kinds{'history-job'} = 1 if slurp('src/domain/check/check_history.h') =~ /"history-job"/;
cmp_ok(keys %kinds, '>', 30, 'there are kinds');

my ($section) = slurp('src/man/docker-registry-server-fsck.8') =~ /^\.SH FINDINGS\n(.*?)^\.SH /ms;
my %told;
for my $title ($section =~ /^\.TP\n(\.BR? .*)$/mg) {
    $told{ $1 =~ s/\\//gr } = 1 while $title =~ /(?<![\w-])([a-z]+(?:\\-[a-z]+)*)\b/g;
}
none([ grep { !$told{$_} } sort keys %kinds ], 'the manual has each kind');
none([ grep { !$kinds{$_} } sort keys %told ], '... and no other');
done_testing();

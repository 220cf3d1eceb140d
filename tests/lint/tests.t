#!/usr/bin/perl
# The tests themselves: each is run, no sub is defined twice, and none is without a caller.
use v5.36;
use FindBin;
use lib $FindBin::Bin;
use Lint;
use File::Find;
use Test::More;

my @all;
find({ no_chdir => 1, wanted => sub { push @all, $_ if -f && -T && !m{/(data|corpus)/|~$} } }, grep { -d } qw(.ci contrib hooks tests));
my %perl = map { $_ => slurp($_) } grep { /\.(t|pm|pl)$/ || slurp($_) =~ /\A#!\S*[\/ ]perl\b/ } sort @all;
cmp_ok(scalar keys %perl, '>', 50, 'there are Perl programs');

# contrib/list-sources looks for tests in these directories.
none([ grep { m{\.t$} && !m{^tests/(lint|fuzz|t)/} || m{/test_\w+\.c$} && !m{^tests/unit/} } sort @all ], 'each test stands where make check finds it');

my (@twice, @uncalled, %words);
for my $file (keys %perl) {
    $words{$_}{$file}++ for $perl{$file} =~ /\w+/g;
}
for my $file (sort keys %perl) {
    my ($package, %seen) = ('main');
    for my $line (split /\n/, $perl{$file} =~ s/^__(?:END|DATA)__\n.*//msr =~ s/^=\w.*?^=cut$//msgr) {
        $package = $1 if $line =~ /^\s*package\s+([\w:]+)/;
        my ($name) = $line =~ /^\s*sub\s+(\w+)/ or next;
        push @twice, "$file: $name" if $seen{$package}{$name}++;
        my @users = $file =~ /\.pm$/ ? keys %{ $words{$name} } : ();
        push @uncalled, "$file: $name" if $words{$name}{$file} < 2 && @users < 2 && $name !~ /^(import|DESTROY|AUTOLOAD|TIE\w+|BEGIN|END)$/;
    }
}
none(\@twice, 'no sub is defined twice');
none(\@uncalled, 'each sub has a caller');
done_testing();
